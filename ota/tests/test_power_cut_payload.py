"""An update by the real payload, whole or by delta, and the real report queue on the same disk, cut at random.

It ends well, nothing verified comes twice, and there is one report.
"""

import random
import sys
from collections.abc import Callable
from hashlib import sha256

import msgspec
import pytest

from ota import targets
from ota.agent.payload import FetchedPayload
from ota.installers.release_dir import ReleaseDir
from ota.payload import blocks, fetch
from ota.payload.blocks import block_list
from ota.payload.limits import DailyBudget, SpeedLimit
from ota.payload.source import Pieces
from ota.reports import Report, ReportQueue, read_report
from ota.slots.driver import Driver
from ota.slots.neighbours import Offer
from ota.slots.neighbours import Report as Ended
from ota.slots.record import BOOTS
from ota.storage import Storage
from ota.targets import Blob, Delta, Target
from ota.testing.disk_double import DiskDouble, PowerCut
from ota.testing.slot_world import KEY, World, driver_on, offer_of
from ota.tests.power_cuts import NEW, OLD, Explorer, Found, Run, a_device

BLOCK_BYTES = 4096


class Web:
    """Blobs by name. Counts what it gives."""

    name = "memory"
    is_metered = False

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.wanted: list[str] = []
        """Hashes of the blobs that an update may fetch."""
        self.given_bytes = 0

    def all_bytes(self) -> int:
        """What an update needs that is never cut."""
        return sum(len(self.files[f"blobs/{name}{ending}"]) for name in self.wanted for ending in ("", ".blocks"))

    def read(self, path: str, offset: int, size: int) -> tuple[int, Pieces]:
        """See `Source`."""
        return offset, self._pieces(self.files[path][offset : offset + size])

    def _pieces(self, data: bytes) -> Pieces:
        for at in range(0, len(data), 1_000):
            self.given_bytes += len(data[at : at + 1_000])
            yield data[at : at + 1_000]


class Queue:
    """The queue of the device, on the same disk as all the rest."""

    def __init__(self, disk: DiskDouble) -> None:
        self.queue = ReportQueue(disk, lambda _data: bytes(64), "00" * 32)

    def put(self, ended: Ended) -> None:
        outcome = ended.outcome.replace(" ", "-")
        report = Report(attempt=ended.attempt, device="d1", plan=ended.plan_number, outcome=outcome)
        self.queue.put(report, ended.log_tail)


class PayloadRun(Run):
    """A run that fetches with the real payload."""

    def __init__(self, explorer: Explorer, found: Found, web: Web) -> None:
        self.web = web
        super().__init__(explorer, found)

    def driver(self) -> Driver:
        driver = driver_on(self.disk, self.world, self.slot)
        driver._payload = payload_on(self.disk, self.web, lambda: driver.record().confirmed)
        driver._reports = Queue(self.disk)
        return driver

    def told(self, attempt: str) -> list[str]:
        """See `Run`."""
        queue = Queue(self.disk).queue
        assert queue.waiting() == [attempt]
        line, log = queue.read(attempt)
        report = read_report(line, lambda _signature, _data: True)
        assert (sha256(log).hexdigest() if log else "") == report.log_sha256
        assert bool(log) is (report.outcome == "rolled-back")
        return [report.outcome.replace("-", " ")]

    def blocks_to_come(self) -> set[tuple[str, int]]:
        """I4 is judged by bytes: no more may come than the disk lacks now. Does not ask the code under test."""
        contents, missing = self.disk.contents(), 0
        for name in self.web.wanted:
            data = self.web.files[f"blobs/{name}"]
            part, bits = contents.get(f"fetch/{name}.part", b""), contents.get(f"fetch/{name}.map", b"")
            for number, at in enumerate(range(0, len(data), BLOCK_BYTES)):
                block = data[at : at + BLOCK_BYTES]
                has_bit = number < len(bits) * 8 and bits[number >> 3] & (0x80 >> (number & 7))
                missing += 0 if has_bit and part[at : at + len(block)] == block else len(block)
            missing += len(self.web.files[f"blobs/{name}.blocks"])
        self.most_bytes = self.web.given_bytes + missing
        return set()

    def check_downloads(self) -> None:
        assert self.web.given_bytes <= self.most_bytes, "I4: what the disk had has come again"


def payload_on(disk: Storage, web: Web, confirmed: Callable[[], str]) -> FetchedPayload:
    installer = ReleaseDir(disk, KEY)
    return FetchedPayload(
        disk,
        budget=DailyBudget(
            disk, bytes_a_day=None, attempts_a_day=1 << 30, wall_s=lambda: 1e9, is_synchronised=lambda: True
        ),
        speed=lambda cap: SpeedLimit(cap, monotonic=lambda: 0.0, sleep=lambda _s: None),
        sources=[web],
        held=lambda _target: [each for each in [installer.held(confirmed())] if each is not None],
        room=lambda target: installer.room("b" if confirmed() == "a" else "a", target.length),
        is_cancelled=lambda: False,
        progress=lambda _target, _way, _done, _all: None,
    )


def blob_of(data: bytes, files: dict[str, bytes]) -> Blob:
    listed = block_list([data])
    sha, of_list = sha256(data).hexdigest(), sha256(listed).hexdigest()
    files |= {f"blobs/{sha}": data, f"blobs/{sha}.blocks": listed}
    return Blob(codec="none", length=len(data), sha256=sha, blocks=of_list)


LOST_BYTES = BLOCK_BYTES + 1_000 + 32 * 8
"""What is lost by a cut at most: a block that is not in the map yet, a piece of the next one, the block list."""
WAYS = ("whole", "delta", "wrong delta")


def with_blobs(web: Web, way: str) -> Target:
    """The new release as the web has it."""
    full, deltas = blob_of(NEW.image, web.files), []
    web.wanted = [full.sha256] if way != "delta" else []
    if way != "whole":
        patch_module = pytest.importorskip("ota.payload.patch")
        pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")
        patch = patch_module.make_patch(OLD.image, NEW.image if way == "delta" else NEW.image + b"x")
        blob = blob_of(patch, web.files)
        deltas = [
            Delta(codec="delta", length=blob.length, sha256=blob.sha256, blocks=blob.blocks, from_sha256=OLD.sha256)
        ]
        web.wanted.append(blob.sha256)
    info = msgspec.structs.replace(NEW.target.info, full=[full], deltas=deltas)
    return msgspec.structs.replace(NEW.target, info=info)


def run_with_cuts(seed: int, way: str) -> None:
    rng = random.Random(seed)
    web = Web({})
    target = with_blobs(web, way)
    offer = offer_of(5, NEW)._replace(targets={target.path: target})
    end = rng.choice(["confirmed", "rolled back"])
    disk, world = a_device(ill=frozenset({NEW.sha256} if end == "rolled back" else ()))
    is_confirmed = False
    cuts = rng.randint(1, 6)
    for cut in range(cuts + 1):
        run, is_cut = one_run(offer, Found(disk, world, cut, is_confirmed=is_confirmed), web, rng, is_last=cut == cuts)
        if not is_cut:
            assert run.record().outcome in ({end, "rolled back"} if cut >= BOOTS else {end})
            assert web.given_bytes <= web.all_bytes() + cut * LOST_BYTES, "I4: a cut costs the block that is under way"
            return
        disk, is_confirmed = disk.some_after_cut(rng), run.is_confirmed


def one_run(offer: Offer, found: Found, web: Web, rng: random.Random, *, is_last: bool) -> tuple[Run, bool]:
    """A run, and whether the power went in it."""
    explorer = Explorer(offer, depth=0, expected={"confirmed", "rolled back"})
    run = PayloadRun(explorer, found, web)
    left = [rng.randrange(rng.choice([20, 80, 160]))]

    def begun(_step: str, _name: str) -> None:
        left[0] -= 1
        if left[0] < 0 and not is_last:
            raise PowerCut

    found.disk.begun = begun
    try:
        run.to_the_end()
    except PowerCut:
        return run, True
    return run, False


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (targets, blocks, fetch):
        monkeypatch.setattr(module, "BLOCK_BYTES", BLOCK_BYTES)


@pytest.mark.parametrize("way", WAYS)
def test_an_update_by_the_real_payload_survives_a_row_of_cuts(way: str):
    for seed in range(30):
        try:
            run_with_cuts(seed, way)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", WAYS)
def test_an_update_by_the_real_payload_survives_thousands_of_rows_of_cuts(way: str):
    first = random.SystemRandom().randrange(1 << 40)
    sys.stdout.write(f"seeds from {first}\n")
    for seed in range(first, first + 2_000):
        run_with_cuts(seed, way)


def test_what_comes_over_the_line_is_what_the_way_needs():
    given = {}
    for way in WAYS:
        web = Web({})
        target = with_blobs(web, way)
        disk, world = a_device()
        assert run_from(disk, world, offer_of(5, NEW)._replace(targets={target.path: target}), web).ends == {
            "confirmed": 1
        }
        given[way] = web.given_bytes
    assert given["whole"] == len(NEW.image) + 32 * 5
    assert given["delta"] < given["whole"] < given["wrong delta"] < given["whole"] + given["delta"] + 100


def test_a_cut_that_leaves_the_mark_of_a_wrong_delta_alone_leads_to_the_whole_image():
    """The record says that it writes, the mark that the delta is not to be used, and of the image nothing is here."""
    web = Web({})
    target = with_blobs(web, "wrong delta")
    offer = offer_of(5, NEW)._replace(targets={target.path: target})
    disk, world = a_device()

    def begun(step: str, name: str) -> None:
        if step == "sync" and name.endswith(".wrong"):
            raise PowerCut

    disk.begun = begun
    with pytest.raises(PowerCut):
        run_from(disk, world, offer, web)
    ends = [run_from(found, world.copy(), offer, web).ends for found in disk.after_cut()]
    assert len(ends) >= 3
    assert all(end == {"confirmed": 1} for end in ends)


def run_from(disk: DiskDouble, world: World, offer: Offer, web: Web) -> Explorer:
    explorer = Explorer(offer, depth=0, expected={"confirmed"})
    PayloadRun(explorer, Found(disk, world, 0, is_confirmed=False), web).to_the_end()
    return explorer
