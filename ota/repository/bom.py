"""A bill of materials of an image, in CycloneDX 1.6 (ECMA-424): its libraries, and every file that is in none.

A library is what has a `*.dist-info` in the folder, as pip lays it down. The document is the same whenever it is made.
"""

import csv
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from ota.errors import RefusedError, Rule, StorageError
from ota.repository.image_tar import folder_files

_MAX_LICENSE_CHARS = 200
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""The document must have a time, and is to be the same whenever it is made."""


def bom_of(folder: Path | None, *, name: str, version: str, image_sha256: str) -> bytes:
    """The document; without a folder it does not say what is in the image. Raises `RefusedError`, `StorageError`."""
    product = Component(
        name=name,
        version=version,
        type=ComponentType.FIRMWARE,
        bom_ref=f"image:{image_sha256}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=image_sha256)],
    )
    try:
        components = [] if folder is None else _components(folder)
    except OSError as error:
        raise StorageError(str(error.filename or folder), error.strerror or str(error)) from error
    bom = Bom(components=components, serial_number=uuid5(NAMESPACE_URL, f"urn:sha256:{image_sha256}"))
    bom.metadata.component = product
    bom.metadata.timestamp = _NO_TIME
    bom.register_dependency(product, components)
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)
    return text.encode() + b"\n"


def _components(folder: Path) -> list[Component]:
    files = folder_files(folder)
    libraries, owned = _libraries(folder, files)
    return [*libraries, *(_file(path, path.relative_to(folder).as_posix()) for path in files if path not in owned)]


def _libraries(folder: Path, files: list[Path]) -> tuple[list[Component], set[Path]]:
    """The installed distributions, and which files are theirs."""
    found, owned = [], set()
    for path in files:
        if path.name != "METADATA" or path.parent.suffix != ".dist-info":
            continue
        head = BytesHeaderParser().parsebytes(path.read_bytes())
        name, version = str(head["Name"] or "").strip(), str(head["Version"] or "").strip()
        if not name or not version:
            raise RefusedError(Rule.FORMAT, str(path), "a library without a Name or without a Version")
        purl = PackageURL("pypi", name=name.lower().replace("_", "-"), version=version)
        library = Component(name=name, version=version, purl=purl, bom_ref=purl.to_string(), licenses=_licenses(head))
        found.append(library)
        owned |= {path.parent / other.name for other in path.parent.iterdir()}
        record = path.with_name("RECORD")
        if record.is_file():
            owned |= {folder / path.parent.parent / name for name in _recorded(record)}
    return found, owned


def _recorded(file: Path) -> list[str]:
    """What a library says to be its files."""
    try:
        return [line[0] for line in csv.reader(file.read_text("utf-8").splitlines()) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise RefusedError(Rule.FORMAT, str(file), "it is no list of a library's files") from error


def _licenses(head: Message) -> Iterator[License]:
    if expression := head["License-Expression"]:
        yield LicenseExpression(str(expression))
    elif (name := head["License"]) and len(str(name)) <= _MAX_LICENSE_CHARS:
        yield DisjunctiveLicense(name=str(name))


def _file(path: Path, name: str) -> Component:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest)]
    return Component(name=name, type=ComponentType.FILE, bom_ref=f"file:{name}", hashes=hashes)
