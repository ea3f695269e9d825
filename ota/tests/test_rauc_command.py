"""What the `rauc` command may answer: other programs in its place say it, so that this needs no RAUC."""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ota.errors import Cause, RefusedError, Rule, StorageError
from ota.installers.rauc_command import MAX_ANSWER_BYTES, Rauc, RaucError

SLOTS: list[dict[str, Any]] = [
    {
        "rootfs.1": {
            "class": "rootfs",
            "device": "/dev/mmcblk0p3",
            "type": "ext4",
            "bootname": "B",
            "state": "inactive",
            "parent": None,
            "mountpoint": None,
            "boot_status": "bad",
            "slot_status": {
                "bundle": {"compatible": "rsu", "version": "1.2"},
                "checksum": {"sha256": "bb" * 32, "size": 1048576},
                "installed": {"timestamp": "2026-01-24T18:25:57Z", "count": 3},
                "status": "ok",
            },
        }
    },
    {
        "rootfs.0": {
            "class": "rootfs",
            "device": "/dev/mmcblk0p2",
            "type": "ext4",
            "bootname": "A",
            "state": "booted",
            "parent": None,
            "mountpoint": "/",
            "boot_status": "good",
            "slot_status": {"bundle": {"compatible": None}},
        }
    },
]
"""As RAUC 1.8 writes it."""
STATUS = {"compatible": "rsu", "variant": "", "booted": "A", "boot_primary": "rootfs.0", "slots": SLOTS}


@pytest.fixture
def saying(tmp_path: Path) -> Callable[..., Rauc]:
    """A program that says this and ends so, in the place of `rauc`."""

    def made(out: str | bytes = "", err: str = "", code: int = 0, *, then: str = "", **limits: float) -> Rauc:
        (tmp_path / "out").write_bytes(out.encode() if isinstance(out, str) else out)
        (tmp_path / "err").write_text(err)
        program = tmp_path / "rauc"
        program.write_text(f'#!/bin/sh\ncd {tmp_path}\necho "$*" >>asked\ncat out\ncat err >&2\n{then}\nexit {code}\n')
        program.chmod(0o755)
        return Rauc(program=str(program), **limits)

    return made


def asked(folder: Path) -> list[str]:
    return (folder / "asked").read_text().splitlines()


def test_the_status_as_rauc_writes_it(saying: Callable[..., Rauc], tmp_path: Path) -> None:
    status = saying(json.dumps(STATUS)).status()
    assert asked(tmp_path) == ["status --detailed --output-format=json"]
    assert status.primary == "rootfs.0"
    assert (status.slot("rootfs.0").is_booted, status.slot("rootfs.1").is_booted) == (True, False)
    kept = status.slot("rootfs.1").slot_status
    assert (kept.bundle.version, kept.installed.count, kept.status) == ("1.2", 3, "ok")
    assert status.will_start("rootfs.0")
    assert not status.will_start("rootfs.1")
    with pytest.raises(RaucError, match=r"it has no slot rootfs\.2; there are rootfs\.0, rootfs\.1$"):
        status.slot("rootfs.2")


def test_a_group_is_a_slot_and_what_is_written_with_it(saying: Callable[..., Rauc]) -> None:
    child = {"appfs.1": {**SLOTS[0]["rootfs.1"], "parent": "rootfs.1", "bootname": None, "boot_status": None}}
    status = saying(json.dumps({**STATUS, "slots": [*SLOTS, child]})).status()
    assert set(status.group("rootfs.1")) == {"rootfs.1", "appfs.1"}
    assert set(status.group("rootfs.0")) == {"rootfs.0"}


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in STATUS.items() if key != name}


def with_slot(**changes: object) -> dict[str, object]:
    return {**STATUS, "slots": [{"rootfs.0": {**SLOTS[1]["rootfs.0"], **changes}}]}


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "\0",
        "[]",
        "null",
        json.dumps(without("slots")),
        json.dumps(without("booted")),
        json.dumps({**STATUS, "slots": {}}),
        json.dumps({**STATUS, "slots": [{**SLOTS[0], **SLOTS[1]}]}),
        json.dumps({**STATUS, "slots": SLOTS * 40}),
        json.dumps({**STATUS, "boot_primary": 7}),
        json.dumps({**STATUS, "boot_primary": "x" * 300}),
        json.dumps(with_slot(device="../etc")),
        json.dumps(with_slot(boot_status="perhaps")),
        json.dumps(with_slot(slot_status={"checksum": {"sha256": "x", "size": 1}})),
        json.dumps(with_slot(slot_status={"checksum": {"sha256": "bb" * 32, "size": -1}})),
        "[" * 100_000,
        json.dumps(STATUS) + "x",
    ],
)
def test_an_answer_that_is_none_is_one_line(saying: Callable[..., Rauc], answer: str) -> None:
    with pytest.raises(RaucError, match=r"^storage: rauc status: its answer is none that is known$"):
        saying(answer).status()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_status_or_one_line(saying: Callable[..., Rauc], answer: bytes) -> None:
    try:
        said = repr(saying(answer).status())
    except RaucError as error:
        said = str(error)
    assert "\n" not in said


def test_progress_is_told_line_by_line(saying: Callable[..., Rauc], tmp_path: Path) -> None:
    seen: list[tuple[int, str]] = []
    lines = "installing\n  0% Installing\n 80% Copying \x1b[31mimage\n999% more\n100% Installing done.\nno end"
    saying(lines).install(tmp_path / "b.raucb", lambda percent, what: seen.append((percent, what)))
    assert seen == [(0, "Installing"), (80, "Copying [31mimage"), (100, "more"), (100, "Installing done.")]
    assert asked(tmp_path) == [f"install {tmp_path}/b.raucb"]


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ("Installation error: Compatible mismatch: Expected 'rsu' but bundle manifest has 'obu'", Rule.HARDWARE),
        ("signature verification failed: Verify error: self-signed certificate", Rule.SIGNATURE),
        ("Invalid bundle format: Failed to seek to end of bundle", Rule.FORMAT),
        ("Failed to load manifest: Key file does not start with a group", Rule.FORMAT),
        ("Installation error: No target slot for class kernel of image kernel.img found", Rule.FORMAT),
        ("Size of image (9) does not fit to slot size 8", Rule.SPACE),
        ("Failed mounting bundle: no loop device", Rule.STORAGE),
    ],
)
def test_what_rauc_refuses_is_one_line_with_our_rule(saying: Callable[..., Rauc], said: str, rule: Rule) -> None:
    lines = f"100% Installing failed.\nLastError: {said}\n"
    with pytest.raises(RefusedError) as refused:
        saying(lines, "rauc-WARNING **: much\n" * 100, 1).install(Path("/b"))
    assert (refused.value.rule, str(refused.value)) == (rule, f"{rule.value}: rauc install: {said}")


def test_a_full_slot_is_told_from_a_bundle_that_is_refused(saying: Callable[..., Rauc]) -> None:
    line = "LastError: Installation error: Failed updating slot rootfs.1: No space left on device\n"
    with pytest.raises(StorageError) as full:
        saying("", line, 1).install(Path("/b"))
    assert full.value.cause is Cause.FULL


def test_who_is_busy_or_away_is_asked_again_later(saying: Callable[..., Rauc]) -> None:
    with pytest.raises(RaucError, match="Already processing a different method"):
        saying("LastError: Already processing a different method\n", code=1).install(Path("/b"))
    with pytest.raises(RaucError, match="D-Bus error while installing"):
        saying("", "Failed: ServiceUnknown\nD-Bus error while installing `/b`\n", 2).install(Path("/b"))
    with pytest.raises(RaucError, match=r"^storage: rauc status: \[1m was not provided$"):
        saying("", "\x1b[1m was not\tprovided \n\n", 1).status()
    with pytest.raises(RaucError, match="it fails and does not say why"):
        saying("", "\n\x07\n", 1).mark("good", "rootfs.0")


def test_foreign_words_are_short_and_fit_for_a_terminal(saying: Callable[..., Rauc]) -> None:
    with pytest.raises(RefusedError) as refused:
        saying(f"LastError: \x1b]0;owned\x07{'x' * 5000}\u202e\n", code=1).install(Path("/b"))
    assert len(refused.value.reason) <= 200
    assert refused.value.reason.isprintable()


@pytest.mark.parametrize("then", ["sleep 600", "sleep 600 &\nwait", "exec 1>&- 2>&-\nsleep 600"])
def test_one_that_hangs_is_ended_with_all_that_it_has_started(
    saying: Callable[..., Rauc], tmp_path: Path, then: str
) -> None:
    rauc = saying(json.dumps(STATUS), then=f"echo $$ >{tmp_path}/pid\n{then}", short_s=1.0)
    began = time.monotonic()
    with pytest.raises(RaucError, match=r"rauc status: it does not come to an end, and is ended$"):
        rauc.status()
    assert time.monotonic() - began < 10
    group = int((tmp_path / "pid").read_text())
    while living(group):  # it was told to end, and may take its time
        assert time.monotonic() - began < 20
        time.sleep(0.05)


def living(group: int) -> list[psutil.Process]:
    """What still runs of a process group. A dead one may be there for a while, until its new parent looks."""
    found = []
    for process in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError):
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def test_one_that_never_stops_talking_is_ended(saying: Callable[..., Rauc]) -> None:
    with pytest.raises(RaucError, match=f"it says more than {MAX_ANSWER_BYTES:,} bytes, and is ended$"):
        saying(then="yes").status()
    with pytest.raises(RaucError, match="it says more than"):
        saying(then="yes >&2").install(Path("/b"))


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RaucError, match="rauc: it cannot be started: No such file or directory"):
        Rauc(program=str(tmp_path / "rauc")).status()


def test_marks_are_words_of_the_command(saying: Callable[..., Rauc], tmp_path: Path) -> None:
    rauc = saying()
    rauc.mark("good", "rootfs.0")
    rauc.mark("active", "rootfs.1")
    assert asked(tmp_path) == ["status mark-good rootfs.0", "status mark-active rootfs.1"]
