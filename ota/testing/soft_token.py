"""A real token for tests: SoftHSM2 with its store in a folder. It can be filled, and pulled like a stick.

token = SoftToken(folder, "alice")         # needs SOFTHSM2_CONF=folder/softhsm2.conf in the environment
token.make_key("alice-root", P256)
token.uri("alice-root")
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ota.repository.keys import ED25519, P256

PIN = "correct horse battery"
_PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
_CURVES: dict[str, str] = {ED25519: "1.3.101.112", P256: "secp256r1"}


def missing() -> str:
    """Why there is no such token here; nothing where there is."""
    if shutil.which("softhsm2-util") is None or not module_path():
        return "softhsm2 is not installed: keys in a token cannot be tried"
    return ""


def module_path() -> str:
    """Where its library is; nothing where it is not."""
    return next((place for place in _PLACES if os.path.exists(place)), "")  # noqa: PTH110  # a plain name


def softhsm_folder(folder: Path) -> Path:
    """A folder for tokens; its configuration is what SOFTHSM2_CONF is to name."""
    (folder / "tokens").mkdir(parents=True, exist_ok=True)
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    return config


class SoftToken:
    """One token in the folder of SOFTHSM2_CONF."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._folder = Path(os.environ["SOFTHSM2_CONF"]).parent
        self.initialise()

    def initialise(self) -> None:
        """Make a token of that label, also where there is one."""
        words = ["softhsm2-util", "--init-token", "--free", "--label", self.label, "--so-pin", PIN, "--pin", PIN]
        subprocess.run(words, check=True, capture_output=True, timeout=60)  # noqa: S603  # our own words

    def uri(self, key: str, **more: str) -> str:
        """The name of a key in it."""
        query = {"module-path": module_path(), **{name.replace("_", "-"): value for name, value in more.items()}}
        words = "&".join(f"{name}={quote(value, safe='/:')}" for name, value in query.items())
        return f"pkcs11:token={quote(self.label)};object={quote(key)}?{words}"

    def make_key(self, label: str, scheme: str, number: bytes = b"\1", **template: Any) -> None:
        """A key pair; `scheme`: of a signature, or a curve. `template`: of the private half, by its PKCS #11 names."""
        import pkcs11
        from pkcs11.util.ec import encode_named_curve_parameters

        kind = pkcs11.KeyType.EC_EDWARDS if scheme == ED25519 else pkcs11.KeyType.EC
        curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(_CURVES.get(scheme, scheme))}
        private = {pkcs11.Attribute[name]: value for name, value in template.items()}
        library = pkcs11.lib(module_path())
        try:
            with library.get_token(token_label=self.label).open(rw=True, user_pin=PIN) as session:
                parameters = session.create_domain_parameters(kind, curve, local=True)
                parameters.generate_keypair(id=number, label=label, store=True, private_template=private)
        finally:
            library.finalize()

    def remove_objects(self, kind: str) -> None:
        """Remove all objects of a class, `PUBLIC_KEY` or `PRIVATE_KEY`."""
        import pkcs11

        library = pkcs11.lib(module_path())
        try:
            with library.get_token(token_label=self.label).open(rw=True, user_pin=PIN) as session:
                for found in list(session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass[kind]})):
                    found.destroy()
        finally:
            library.finalize()

    def pull(self) -> None:
        """Take every token of the folder out."""
        (self._folder / "tokens").rename(self._folder / "pulled")
        (self._folder / "tokens").mkdir()
