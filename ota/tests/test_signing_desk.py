"""What a key holder is shown before they sign: whatever would give a stranger a voice is refused, or in plain sight."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Root

from ota.errors import RefusedError, Rule
from ota.repository import ceremony, roles, signatures
from ota.repository.differences import differences
from ota.repository.keys import KeyRole, SigningKey
from ota.repository.workspace import staged_bytes
from ota.testing.repository_double import RepositoryDouble

MALLORY = SigningKey.new(KeyRole.ROOT, "mallory").public
IMAGE = "rsu/gateway/1.tar"


@pytest.fixture
def double() -> RepositoryDouble:
    return RepositoryDouble()


def keep_the_id_and_change_the_key(root: Root) -> None:
    keyid = root.roles["root"].keyids[0]
    stranger = copy.deepcopy(MALLORY.tuf)
    stranger.keyid = keyid
    root.keys[keyid] = stranger


def name_a_key_that_is_not_there(root: Root) -> None:
    root.roles["root"].keyids[0] = "00" * 32


def one_voice_is_enough(root: Root) -> None:
    root.roles["targets"].threshold = 1


def on_desk(metadata: Metadata[Any], folder: Path, role: str) -> Path:
    file = folder / f"{metadata.signed.version}.{role}.json"
    file.write_bytes(staged_bytes(metadata))
    return file


@pytest.mark.parametrize(
    ("attack", "rule", "said"),
    [
        (keep_the_id_and_change_the_key, Rule.KEY, "root: the id of its key mallory .* is another key's"),
        (name_a_key_that_is_not_there, Rule.KEY, "root may be signed by 00000000…, and that key is not in it"),
        (one_voice_is_enough, Rule.THRESHOLD, "targets wants 1 signatures; at least 2 are due"),
        (lambda root: setattr(root, "consistent_snapshot", False), Rule.FORMAT, "no consistent snapshots"),
    ],
)
def test_a_root_that_lets_a_stranger_in_is_not_signed(
    double: RepositoryDouble, tmp_path: Path, attack: Callable[[Root], None], rule: Rule, said: str
) -> None:
    root = roles.next_of(double.root, double.now)
    attack(root.signed)
    file = on_desk(root, tmp_path, "root")
    with pytest.raises(RefusedError, match=said) as refused:
        ceremony.read_to_sign(file, KeyRole.ROOT)
    assert (refused.value.rule, refused.value.what) == (rule, str(file))


def test_a_family_is_not_signed_with_the_key_of_a_stranger_under_a_known_id(
    double: RepositoryDouble, tmp_path: Path
) -> None:
    targets = roles.next_of(double.targets, double.now)
    keys = targets.signed.delegations.keys
    keyid = targets.signed.delegations.roles["rsu"].keyids[0]
    keys[keyid] = copy.deepcopy(MALLORY.tuf)
    keys[keyid].keyid = keyid
    with pytest.raises(RefusedError, match="is another key's") as refused:
        ceremony.read_to_sign(on_desk(targets, tmp_path, "targets"), KeyRole.TARGETS)
    assert refused.value.rule is Rule.KEY


@pytest.mark.parametrize("hashes", [{"sha512": "00"}, {"sha256": "../../x"}, {"sha256": "00" * 32 + "\n"}])
def test_an_image_has_a_sha256(double: RepositoryDouble, tmp_path: Path, hashes: dict[str, str]) -> None:
    double.add_image(IMAGE, b"image", counter=1)
    family = roles.next_of(double.families["rsu"], double.now)
    family.signed.targets[IMAGE].hashes = hashes
    with pytest.raises(RefusedError) as refused:
        ceremony.read_to_sign(on_desk(family, tmp_path, "rsu"), KeyRole.TARGETS)
    file = tmp_path / f"{family.signed.version}.rsu.json"
    assert (refused.value.rule, refused.value.what) == (Rule.FORMAT, f"{file}: {IMAGE}")


@pytest.mark.parametrize(
    "words", [b'"x": 1.5', b'"x": "\\ud800"', b'"x": [' + b"[" * 3000 + b"]" * 3000 + b"]", b"\xff"]
)
def test_what_cannot_be_signed_is_no_metadata(double: RepositoryDouble, tmp_path: Path, words: bytes) -> None:
    file = on_desk(double.root, tmp_path, "root")
    file.write_bytes(file.read_bytes().replace(b'"_type": "root"', b'"_type": "root", ' + words))
    with pytest.raises(RefusedError, match=r"^format: .*1\.root\.json: it is no TUF metadata$"):
        ceremony.read_to_sign(file, KeyRole.ROOT)


def test_both_roots_are_signed_as_they_are(double: RepositoryDouble, tmp_path: Path) -> None:
    for root in (double.root, double.director_root):
        assert ceremony.read_to_sign(on_desk(root, tmp_path, "root"), KeyRole.ROOT).metadata.signed == root.signed


def test_what_is_shown_is_what_is_signed(double: RepositoryDouble, tmp_path: Path) -> None:
    """The file lies on a stick or in a shared folder: it may be another one when the passphrase is given."""
    file = on_desk(double.root, tmp_path, "root")
    paper = ceremony.read_to_sign(file, KeyRole.ROOT)
    other = copy.deepcopy(double.root)
    other.signed.keys.pop(other.signed.roles["root"].keyids.pop())
    file.write_bytes(staged_bytes(other))
    key = double.keys["root"][0]
    (data,) = ceremony.sign_paper(paper, key).files.values()
    signatures.attach(paper.metadata, file.name, data, "it")
    key.public.tuf.verify_signature(paper.metadata.signatures[key.public.keyid], double.root.signed_bytes)


def test_a_new_threshold_is_in_plain_sight(double: RepositoryDouble) -> None:
    root = roles.next_of(double.root, double.now)
    root.signed.roles["root"].threshold = 3
    targets = roles.next_of(double.targets, double.now)
    targets.signed.delegations.roles["rsu"].threshold = 3
    said = [change.words() for change in differences(double.root, root, "2.root.json")[1:]]
    assert said == ["2.root.json: signatures that must come: root: 3 of 3, was 2 of 3"]
    said = [change.words() for change in differences(double.targets, targets, "2.targets.json")[1:]]
    assert said == ["2.targets.json: signatures that must come: rsu: 3 of 3, was 2 of 3"]


def test_a_family_that_goes_is_in_plain_sight(double: RepositoryDouble) -> None:
    targets = roles.next_of(double.targets, double.now)
    del targets.signed.delegations.roles["buoy"]
    said = [change.words() for change in differences(double.targets, targets, "2.targets.json")[1:]]
    assert said == ["2.targets.json: a product family no more: buoy"]


def test_a_new_key_and_a_new_image_are_shown_whole(double: RepositoryDouble) -> None:
    """Eight digits of a key id can be met by trying, in an hour; holders compare what is shown."""
    root = roles.next_of(double.root, double.now)
    root.signed.add_key(MALLORY.tuf, "root")
    words = [change.words() for change in differences(double.root, root, "2.root.json")]
    assert words[1] == f"2.root.json: lets sign: mallory ({MALLORY.keyid}) for root, 2 of 4"
    first = [change.words() for change in differences(None, double.targets, "1.targets.json")]
    for key in double.keys["rsu"]:
        assert f"({key.public.keyid})" in first[1]
    target = double.add_image(IMAGE, b"image", counter=1)
    words = [change.words() for change in differences(None, double.families["rsu"], "2.rsu.json")]
    assert f"sha256 {target.sha256})" in words[1]
