"""A box whose slots are RAUC's, for tests: the real `rauc` and its service on a private bus, slots that are files.

    bench = RaucBench(folder)       # a CA, a system.conf, two slots, a bootloader
    with bench.running():           # the bus, and the service for the slot that runs
        bench.rauc().install(bench.bundle("1.2"))
        bench.boot()                # the bootloader chooses; the service starts anew

The bootloader is a script, as `bootloader-custom-backend` wants one. It counts starts as U-Boot's does: `get-state` is
good while a slot has starts left, `set-primary` and `set-state good` give it three, `set-state bad` none.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ota.installers.rauc_command import INSTALL_S, SHORT_S, Rauc

COMPATIBLE = "wayside-test"
SLOT_BYTES = 1 << 20
BOOTS = 3
_TOOLS = ("rauc", "dbus-daemon", "mksquashfs", "mount", "umount")
_WITHIN_S = 20.0
_CONFIG = """\
[system]
compatible={compatible}
bootloader=custom
activate-installed={activate}
statusfile={folder}/rauc.status
mountprefix={folder}/mnt
bundle-formats=plain

[handlers]
bootloader-custom-backend={folder}/bootloader.sh

[keyring]
path={folder}/ca.pem

[slot.rootfs.0]
device={slots}/rootfs.0
type=raw
bootname=A

[slot.rootfs.1]
device={slots}/rootfs.1
type=raw
bootname=B
"""
_BOOTLOADER = """\
#!/bin/sh
cd {folder}/bootloader || exit 1
echo "$*" >>asked
case "$1" in
get-primary)
    read -r first <primary
    case $first in A) second=B ;; *) second=A ;; esac
    for name in "$first" "$second"; do
        read -r left <"$name" && [ "$left" -gt 0 ] && echo "$name" && exit 0
    done
    exit 1 ;;
set-primary) echo "$2" >primary && echo {boots} >"$2" ;;
get-state) read -r left <"$2" && if [ "$left" -gt 0 ]; then echo good; else echo bad; fi ;;
set-state) if [ "$3" = good ]; then echo {boots} >"$2"; else echo 0 >"$2"; fi ;;
*) exit 1 ;;
esac
"""
_MANIFEST = """\
[update]
compatible={compatible}
version={version}

[bundle]
format=plain

[image.rootfs]
filename=rootfs.img
"""


@cache
def missing() -> str:
    """Why RAUC cannot be tried here; nothing where it can."""
    absent = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if absent:
        return f"RAUC cannot be tried: {', '.join(absent)} is not installed"
    if os.geteuid() != 0:
        return "RAUC cannot be tried: only root may mount a bundle"
    with TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("content", "mnt"):
            (folder / each).mkdir()
        (folder / "content/file").write_bytes(b"x")
        _run("mksquashfs", folder / "content", folder / "image", "-quiet", "-no-progress")
        mounted = _run("mount", "-o", "loop,ro", folder / "image", folder / "mnt", check=False)
        if mounted.returncode:
            return f"RAUC cannot be tried: a bundle cannot be mounted: {mounted.stderr.decode().strip()}"
        _run("umount", folder / "mnt")
    return ""


class RaucBench:
    """See the head of this file."""

    def __init__(self, folder: Path, *, slots: Path | None = None, is_activating: bool = False) -> None:
        """`slots`: where the slots' files are; `is_activating`: RAUC switches by itself, as it does by default."""
        self.folder = folder
        self.slots = slots or folder / "slots"
        for each in (self.slots, folder / "mnt", folder / "bootloader", folder / "made"):
            each.mkdir(parents=True, exist_ok=True)
        self.signer = Signer("wayside test")
        (folder / "ca.pem").write_bytes(self.signer.certificate)
        values = {"folder": folder, "slots": self.slots, "compatible": COMPATIBLE, "boots": BOOTS}
        (folder / "system.conf").write_text(_CONFIG.format(activate=str(is_activating).lower(), **values))
        (folder / "bootloader.sh").write_text(_BOOTLOADER.format(**values))
        (folder / "bootloader.sh").chmod(0o755)
        for name, left in (("primary", "A"), ("A", str(BOOTS)), ("B", "0")):
            (folder / "bootloader" / name).write_text(f"{left}\n")
        for name in ("rootfs.0", "rootfs.1"):
            (self.slots / name).write_bytes(bytes(SLOT_BYTES))
        self.booted = "A"
        self.boots = 0
        """How often it was restarted."""
        self._environment: dict[str, str] = {}
        self._service: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator["RaucBench"]:
        """With the bus, and the service for the slot that runs."""
        bus = f"unix:path={self.folder}/bus"
        self._environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": bus, "DBUS_STARTER_BUS_TYPE": "session"}
        words = ["dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={bus}"]
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as daemon:  # noqa: S603  # our own words
            try:
                self._wait(lambda: (self.folder / "bus").exists())
                self.start_service()
                yield self
            finally:
                self.end_service()
                daemon.terminate()
                while self.mounted.is_mount():  # a service that died has left it
                    _run("umount", self.mounted)

    @property
    def mounted(self) -> Path:
        """Where a bundle is while it is installed."""
        return self.folder / "mnt/bundle"

    def start_service(self) -> None:
        """RAUC's service, told which slot the kernel was started with."""
        words = ["rauc", "-c", str(self.folder / "system.conf"), "service", f"--override-boot-slot={self.booted}"]
        with (self.folder / "service.log").open("ab") as log:
            self._service = subprocess.Popen(words, env=self._environment, stdout=log, stderr=log)  # noqa: S603  # ours
        asked = ["rauc", "status"]
        self._wait(lambda: _run(*asked, check=False, environment=self._environment).returncode == 0)

    def end_service(self) -> None:
        """Gone, as after a crash."""
        if self._service is not None:
            self._service.send_signal(signal.SIGCONT)
            self._service.kill()
            self._service.wait()
            self._service = None

    def freeze_service(self) -> None:
        """It is there and answers nothing."""
        assert self._service is not None
        self._service.send_signal(signal.SIGSTOP)

    def boot(self) -> str:
        """Restart the box: the bootloader takes a start of the slot that it chooses; which it was."""
        self.boots += 1
        first = self._kept("primary")
        for name in (first, "B" if first == "A" else "A"):
            if (left := int(self._kept(name))) > 0:
                self._keep(name, left - 1)
                self.booted = name
                break
        else:
            raise AssertionError("no slot has starts left: the box is a brick")
        self.end_service()
        self.start_service()
        return self.booted

    def starts_left(self, name: str) -> int:
        """Of a slot, by its bootname."""
        return int(self._kept(name))

    @property
    def primary(self) -> str:
        """The bootname that the bootloader tries first."""
        return self._kept("primary")

    @property
    def environment(self) -> Mapping[str, str]:
        """Of a program that is to find the bus."""
        return self._environment

    def rauc(self, *, short_s: float = SHORT_S, install_s: float = INSTALL_S) -> Rauc:
        """The command, on this bus."""
        return Rauc(environment=self._environment, short_s=short_s, install_s=install_s)

    def image(self, version: str, size: int = 65_536) -> bytes:
        """A root file system of sorts."""
        return (version.encode() * size)[:size]

    def bundle(
        self, version: str, *, compatible: str = COMPATIBLE, signer: "Signer | None" = None, size: int = 65_536
    ) -> bytes:
        """A signed bundle with that image."""
        signer = signer or self.signer
        with TemporaryDirectory(dir=self.folder / "made") as name:
            made = Path(name)
            (made / "content").mkdir()
            (made / "content/rootfs.img").write_bytes(self.image(version, size))
            (made / "content/manifest.raucm").write_text(_MANIFEST.format(compatible=compatible, version=version))
            (made / "cert.pem").write_bytes(signer.certificate)
            (made / "key.pem").write_bytes(signer.key)
            pair = (f"--cert={made / 'cert.pem'}", f"--key={made / 'key.pem'}")
            _run("rauc", *pair, "bundle", made / "content", made / "bundle.raucb")
            return (made / "bundle.raucb").read_bytes()

    def slot_bytes(self, number: int, size: int) -> bytes:
        """What lies at the beginning of a slot."""
        return (self.slots / f"rootfs.{number}").read_bytes()[:size]

    def _kept(self, name: str) -> str:
        return (self.folder / "bootloader" / name).read_text().strip()

    def _keep(self, name: str, value: int) -> None:
        (self.folder / "bootloader" / name).write_text(f"{value}\n")

    def _wait(self, is_there: Callable[[], bool]) -> None:
        until = time.monotonic() + _WITHIN_S
        while not is_there():
            if time.monotonic() > until:
                log = self.folder / "service.log"
                raise AssertionError(f"it did not come up: {log.read_text() if log.exists() else ''}")
            time.sleep(0.02)


class Signer:
    """Who signs bundles: a certificate that is its own CA."""

    def __init__(self, name: str) -> None:
        key: EllipticCurvePrivateKey = generate_private_key(SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, SHA256())
        )
        self.certificate = made.public_bytes(Encoding.PEM)
        self.key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _run(
    *words: "str | Path", check: bool = True, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603  # our own words
        [str(word) for word in words], check=check, capture_output=True, timeout=60, env=environment
    )
