"""The secondary's own code on a real MicroPython and a real littlefs, in flash that loses power in any operation."""

import base64
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ota.payload.file_set import make_image, make_package, read_package

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("mcu_power_cut.py")


def micropython() -> str:
    interpreter = Path(sys.executable).parent / "micropython"
    found = str(interpreter) if interpreter.exists() else shutil.which("micropython")
    assert found, "the test environment has a MicroPython"
    return found


def for_json(package: bytes) -> dict[str, Any]:
    parsed = read_package(package, "a package")
    parts = [parsed.manifest, *parsed.files]
    return {
        "name": parsed.name.hex(),
        "length": parsed.manifest_length,
        "parts": [[part.kind.decode(), base64.b64encode(part.stream).decode()] for part in parts],
    }


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets of some files; the new one by deltas."""
    pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")
    rng = random.Random(5)
    files = {"main.mpy": rng.randbytes(300), "lamp.mpy": rng.randbytes(1_500), "old.mpy": b"goes away"}
    new = {
        **files,
        "lamp.mpy": files["lamp.mpy"][:700] + b"new" + files["lamp.mpy"][700:],
        "log/ring.mpy": rng.randbytes(90),
    }
    del new["old.mpy"]
    old_image = make_image(files, counter=1, floor=0, version="1")
    new_image = make_image(new, counter=2, floor=2, version="2")
    path = tmp_path_factory.mktemp("sets") / "packages.json"
    path.write_text(
        json.dumps({"old": for_json(make_package(old_image)), "new": for_json(make_package(new_image, old_image))})
    )
    return path


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 30))])
def test_wherever_power_goes_the_box_starts_a_whole_set_and_ends_with_the_new_one(packages: Path, seed: int):
    run = subprocess.run(
        [micropython(), "-X", "heapsize=16m", str(SCRIPT), str(ROOT), str(packages), str(seed)],
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    # In front of the last line may stand what MicroPython says of files that a cut has left open.
    said = json.loads(run.stdout.splitlines()[-1])
    print(f"seed {seed}: {said}")  # noqa: T201  # a failure must be repeatable
    assert said["operations"] > 50
    assert said["cuts"] > said["operations"]
    assert said["old"]
    assert said["new"]
