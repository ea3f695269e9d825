"""The release builder: same folder, same bytes; what a device unpacks is what lay there; deltas and the bill."""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
import zstandard

from ota.errors import RefusedError, Rule, StorageError
from ota.payload.blocks import BlockList
from ota.payload.file_set import read_package
from ota.payload.patch import apply_patch
from ota.repository.build import Facts, Release, build
from ota.repository.layout import block_list_name
from ota.targets import BLOCK_BYTES, Schema

FACTS = Facts(
    kind="release-dir",
    family="rsu/gateway",
    version="1.4.2",
    counter=7,
    hardware=["rsu-arm64"],
    entry=["python", "-m", "edge"],
    schema=Schema(reads_from=2, writes=3),
)
FILES = {
    "edge/__main__.py": b"print('edge')\n",
    "edge/data.bin": bytes(range(256)) * 4096,
    "lib/six.py": b"SIX = 6\n",
    "lib/six-1.16.0.dist-info/METADATA": b"Name: six\nVersion: 1.16.0\nLicense: MIT\n\nA library.\n",
    "lib/six-1.16.0.dist-info/RECORD": b"six.py,,\nsix-1.16.0.dist-info/METADATA,,\n",
    "run.sh": b"#!/bin/sh\nexec python -m edge\n",
    "资料/说明.txt": "中文".encode(),
}


def laid(folder: Path, files: dict[str, bytes], *, backwards: bool = False) -> Path:
    for name in sorted(files, reverse=backwards):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[name])
    if "run.sh" in files:
        (folder / "run.sh").chmod(0o755)
    return folder


def image_of(release: Release) -> bytes:
    data = zstandard.ZstdDecompressor().decompress(release.blobs[release.target.info.full[0].sha256])
    assert hashlib.sha256(data).hexdigest() == release.target.sha256
    return data


def test_the_same_folder_gives_the_same_bytes_whatever_its_order_and_its_times(tmp_path: Path) -> None:
    one = laid(tmp_path / "one", FILES)
    two = laid(tmp_path / "two", FILES, backwards=True)
    for number, path in enumerate(sorted(two.rglob("*"))):
        os.utime(path, (number * 1000, number * 1000))
    (two / "edge/__pycache__").mkdir()
    (two / "edge/__pycache__/x.pyc").write_bytes(b"times")
    (two / "edge/data.bin").chmod(0o600)
    first, second, again = build(one, FACTS), build(two, FACTS), build(one, FACTS)
    assert first == second == again


def test_the_tar_is_what_a_device_expects(tmp_path: Path) -> None:
    image = image_of(build(laid(tmp_path, FILES), FACTS))
    with tarfile.open(fileobj=io.BytesIO(image), mode="r:") as tar:
        members = tar.getmembers()
        assert members[0].name == "manifest.json"
        manifest = json.load(tar.extractfile(members[0]))
        assert {m.name: tar.extractfile(m).read() for m in members[1:] if m.isfile()} == FILES
    assert manifest == {
        "name": "rsu/gateway",
        "version": "1.4.2",
        "counter": 7,
        "entry": ["python", "-m", "edge"],
        "schema": {"reads_from": 2, "writes": 3},
    }
    names = [member.name for member in members[1:]]
    assert names == sorted(names, key=lambda name: name.split("/"))
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}
    modes = {member.name: member.mode for member in members}
    assert (modes["run.sh"], modes["lib/six.py"], modes["lib"]) == (0o755, 0o644, 0o755)


def test_blobs_have_their_block_lists(tmp_path: Path) -> None:
    release = build(laid(tmp_path, FILES), FACTS)
    info = release.target.info
    assert [blob.codec for blob in info.full] == ["zstd", "none"]
    whole = info.full[1]
    assert (whole.sha256, whole.length) == (release.target.sha256, release.target.length)
    assert whole.block_count > 1
    for blob in info.full:
        data = release.blobs[blob.sha256]
        blocks = BlockList(blob, release.blobs[block_list_name(blob.sha256)])
        assert all(
            blocks.is_right(number, data[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES])
            for number in range(len(blocks))
        )
    assert len(release.blobs) == 4


def test_a_delta_makes_the_new_image_out_of_the_old_one(tmp_path: Path) -> None:
    pytest.importorskip("detools", reason="deltas are made by detools")
    old = image_of(build(laid(tmp_path / "old", FILES), FACTS))
    changed = {**FILES, "edge/__main__.py": b"print('edge, better')\n"}
    release = build(laid(tmp_path / "new", changed), FACTS._replace(version="1.4.3", counter=8), [old])
    (delta,) = release.target.info.deltas
    assert delta.from_sha256 == hashlib.sha256(old).hexdigest()
    assert delta.length < release.target.info.full[0].length
    made = apply_patch(
        [release.blobs[delta.sha256]],
        lambda offset, size: old[offset : offset + size],
        old_sha256=delta.from_sha256,
        new_sha256=release.target.sha256,
        new_length=release.target.length,
        what="delta",
    )
    assert b"".join(made) == image_of(release)


def test_a_delta_that_saves_nothing_is_not_listed(tmp_path: Path) -> None:
    pytest.importorskip("detools", reason="deltas are made by detools")
    noise = hashlib.shake_256(b"noise").digest(50_000)
    release = build(laid(tmp_path, {"a": noise}), FACTS, [hashlib.shake_256(b"other").digest(50_000)])
    assert release.target.info.deltas == []


def test_a_set_for_a_microcontroller_is_built_too(tmp_path: Path) -> None:
    pytest.importorskip("detools", reason="deltas are made by detools")
    noise = hashlib.shake_256(b"code").digest(4000)
    facts = Facts(kind="mcu", family="buoy/mcu", version="2", counter=2, hardware=["buoy-esp32"], entry=[])
    old = image_of(build(laid(tmp_path / "old", {"main.mpy": noise}), facts))
    release = build(laid(tmp_path / "new", {"main.mpy": noise + b"2"}), facts, [old])
    assert release.target.path == "buoy/mcu/2.set"
    assert image_of(release)[:4] == b"WSI1"
    (delta,) = release.target.info.deltas
    assert delta.from_sha256 == hashlib.sha256(old).hexdigest()
    assert read_package(release.blobs[delta.sha256], "delta").files[0].kind == b"d"


@pytest.mark.parametrize(
    ("facts", "rule", "said"),
    [
        (FACTS._replace(version="1 4"), Rule.FORMAT, r"\$\.path"),
        (FACTS._replace(family="rsu"), Rule.FORMAT, r"\$"),
        (FACTS._replace(family="../x"), Rule.FORMAT, r"\$"),
        (FACTS._replace(hardware=[]), Rule.FORMAT, "length >= 1"),
        (FACTS._replace(min_counter=8), Rule.FLOOR, "it would refuse itself"),
        (FACTS._replace(entry=[]), Rule.FORMAT, "what is started"),
        (FACTS._replace(entry=["missing.sh"]), Rule.FORMAT, "it is to start 'missing.sh', which it does not hold"),
    ],
)
def test_what_a_release_may_not_be_called_is_refused(tmp_path: Path, facts: Facts, rule: Rule, said: str) -> None:
    with pytest.raises(RefusedError, match=said) as refused:
        build(laid(tmp_path, FILES), facts)
    assert refused.value.rule is rule
    assert "\n" not in str(refused.value)


def test_links_devices_and_a_manifest_of_somebody_else_are_refused(tmp_path: Path) -> None:
    folder = laid(tmp_path / "a", FILES)
    (folder / "link").symlink_to("run.sh")
    with pytest.raises(RefusedError, match=r"a/link: it is neither a file nor a folder"):
        build(folder, FACTS)
    (folder / "link").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(RefusedError, match=r"a/pipe: it is neither"):
        build(folder, FACTS)
    (folder / "pipe").unlink()
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(RefusedError, match=r"manifest\.json: the manifest is written here"):
        build(folder, FACTS)
    with pytest.raises(StorageError):
        build(tmp_path / "none", FACTS)


def test_a_name_that_a_device_refuses_is_refused_here(tmp_path: Path) -> None:
    folder = laid(tmp_path, FILES)
    (folder / "back\\slash").write_bytes(b"")
    with pytest.raises(RefusedError, match="is not allowed"):
        build(folder, FACTS)


def test_the_bill_of_materials_is_valid_and_names_libraries_and_files(tmp_path: Path) -> None:
    from cyclonedx.model.bom import Bom

    release = build(laid(tmp_path, FILES), FACTS)
    document = json.loads(release.bom)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    product = document["metadata"]["component"]
    assert (product["name"], product["version"]) == ("rsu-gateway", "1.4.2")
    assert product["hashes"] == [{"alg": "SHA-256", "content": release.target.sha256}]
    by_name = {component["name"]: component for component in document["components"]}
    assert by_name["six"]["purl"] == "pkg:pypi/six@1.16.0"
    assert by_name["six"]["licenses"] == [{"license": {"name": "MIT"}}]
    assert set(by_name) == {"six", "edge/__main__.py", "edge/data.bin", "run.sh", "资料/说明.txt"}
    assert by_name["run.sh"]["hashes"][0]["content"] == hashlib.sha256(FILES["run.sh"]).hexdigest()
    refs = {component["bom-ref"] for component in [product, *document["components"]]}
    assert len(refs) == 6
    assert {one["ref"] for one in document["dependencies"]} == refs
    assert len(Bom.from_json(document).components) == 5


LIBRARY = "lib/six-1.16.0.dist-info"


def test_an_empty_line_in_a_list_of_files_is_none(tmp_path: Path) -> None:
    files = {**FILES, f"{LIBRARY}/RECORD": b"six.py,,\n\nsix-1.16.0.dist-info/METADATA,,\n"}
    assert json.loads(build(laid(tmp_path, files), FACTS).bom)["components"]


@pytest.mark.parametrize(
    ("file", "data"),
    [
        (f"{LIBRARY}/RECORD", b"\xff,,\n"),
        (f"{LIBRARY}/METADATA", b"Version: 1\n"),
        (f"{LIBRARY}/METADATA", b"Name: \nVersion: 1\n"),
        (f"{LIBRARY}/METADATA", b"Name: six\n"),
    ],
)
def test_a_library_that_does_not_say_what_it_is_is_refused(tmp_path: Path, file: str, data: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        build(laid(tmp_path, {**FILES, file: data}), FACTS)
    assert (refused.value.rule, refused.value.what) == (Rule.FORMAT, str(tmp_path / file))


@pytest.mark.parametrize("to", ["lib", "lib/six.py"])
def test_a_set_for_a_microcontroller_holds_no_links(tmp_path: Path, to: str) -> None:
    """A linked folder would be left out without a word."""
    folder = laid(tmp_path, {"main.mpy": b"x", "lib/six.py": b"y"})
    (folder / "linked").symlink_to(folder / to)
    facts = FACTS._replace(kind="mcu", entry=[], schema=Schema())
    with pytest.raises(RefusedError, match="an image holds no links"):
        build(folder, facts)


def test_the_bill_of_materials_keeps_to_the_schema(tmp_path: Path) -> None:
    pytest.importorskip("jsonschema", reason="the schema of CycloneDX is checked with jsonschema")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    release = build(laid(tmp_path, FILES), FACTS)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(release.bom.decode()) is None


BUNDLE = b"hsqs" + bytes(range(256)) * 2000 + b"CMS" + (3).to_bytes(8)
RAUC = FACTS._replace(kind="rauc", family="rsu/os", entry=[], schema=Schema())


def test_a_bundle_for_rauc_is_the_image_itself_and_has_no_deltas(tmp_path: Path) -> None:
    file = tmp_path / "os.raucb"
    file.write_bytes(BUNDLE)
    release = build(file, RAUC, [BUNDLE])
    assert (release.target.path, release.target.info.kind) == ("rsu/os/1.4.2.raucb", "rauc")
    (blob,) = release.target.info.full
    assert (blob.codec, blob.sha256, blob.length) == ("none", release.target.sha256, len(BUNDLE))
    assert release.blobs[blob.sha256] == BUNDLE
    BlockList(blob, release.blobs[block_list_name(blob.sha256)])
    assert release.target.info.deltas == []
    bill = json.loads(release.bom)
    assert bill["metadata"]["component"]["hashes"][0]["content"] == release.target.sha256
    assert "components" not in bill


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hsqs",
        BUNDLE[1:],
        BUNDLE[:-1],
        BUNDLE[:-8],
        BUNDLE[:-8] + bytes(8),
        BUNDLE[:-8] + len(BUNDLE).to_bytes(8),
        BUNDLE[:-8] + (1 << 63).to_bytes(8),
    ],
)
def test_what_is_no_bundle_is_not_signed_as_one(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "os.raucb"
    file.write_bytes(data)
    with pytest.raises(RefusedError, match=r"os\.raucb: it is no bundle that RAUC has made and signed$") as refused:
        build(file, RAUC)
    assert refused.value.rule is Rule.FORMAT


def test_only_a_release_dir_says_what_is_started(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="a release-dir says what is started, and no other kind does"):
        build(tmp_path, RAUC._replace(entry=["python"]))
