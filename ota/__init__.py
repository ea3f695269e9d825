"""Updates that cannot brick: trust, payload, slots, and the signing side. It imports none of the other packages.

errors.py storage.py targets.py   what all of it shares: refusals, the one door to the disk, what metadata says
trust/        what is true: verified metadata, the agreement of both repositories, floors, the time
payload/      the bytes: fetched by blocks, resumed, deltas applied
slots/        what runs: the two-record store and the machine of the crash table
installers/   how a slot is written: `release-dir`, `mcu`
mcu/          the secondary's own side; MicroPython-clean
repository/   the signing side; never on a device
testing/      a living repository and a disk that loses power, for tests of anybody
"""
