"""The client under test against the TUF client workflow: roots, thresholds, versions, expiry, hashes.

Each test cites the clause of the TUF specification, 1.0.34, that it holds the client to.
"""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata

from ota.tests.any_repository import HOLDS, TOP, AnyRepository, Client, client_of, signed_bytes, versions

FRESH = ["2.root", "timestamp", "1.snapshot", "1.targets"]


@pytest.fixture
def repository() -> AnyRepository:
    return AnyRepository()


@pytest.fixture
def client(repository: AnyRepository, tmp_path: Path) -> Iterator[Client]:
    with client_of(repository, tmp_path) as client:
        yield client


def test_init_asks_for_nothing_and_trusts_the_root(repository: AnyRepository, client: Client) -> None:
    assert client.versions() == {"root": 1}
    assert repository.asked() == []


def test_a_refresh_asks_for_each_file_once_in_order(repository: AnyRepository, client: Client) -> None:
    assert client.refresh() == 0
    assert repository.asked() == FRESH
    assert client.versions() == versions()
    assert client.refresh() == 0
    assert repository.asked() == FRESH[:2]


def test_without_consistent_snapshots_names_have_no_version(tmp_path: Path) -> None:
    repository = AnyRepository(is_consistent=False)
    with client_of(repository, tmp_path) as client:
        assert client.refresh() == 0
        assert repository.asked() == ["2.root", "timestamp", "snapshot", "targets"]


def test_metadata_is_kept_byte_for_byte(repository: AnyRepository, client: Client) -> None:
    repository.put("targets", b" \n" + signed_bytes(repository.targets, repository.signers["targets"]) + b"\n ")
    assert client.refresh() == 0
    for role, name in zip(TOP, ("1.root", "timestamp", "1.snapshot", "1.targets"), strict=True):
        served = repository.web.files[f"metadata/{name}.json"]
        assert (client.metadata / f"{role}.json").read_bytes() == served


# 5.3: roots ----------------------------------------------------------------------------------------------------------


def test_each_root_of_the_chain_is_fetched(repository: AnyRepository, client: Client) -> None:
    """5.3.3."""
    for _ in range(4):
        repository.publish("root")
    assert client.refresh() == 0
    assert repository.asked()[:5] == ["2.root", "3.root", "4.root", "5.root", "6.root"]
    assert client.versions() == versions(root=5)
    assert client.refresh() == 0
    assert repository.asked() == ["6.root", "timestamp"]


def test_the_chain_starts_at_the_given_root_even_when_the_cached_one_is_spoiled(
    repository: AnyRepository, client: Client
) -> None:
    repository.publish("root")
    assert client.refresh() == 0
    (client.metadata / "root.json").write_bytes(b"")
    assert client.refresh() == 0
    assert client.versions() == versions(root=2)


@pytest.mark.parametrize("is_old", [True, False])
def test_a_root_is_signed_by_the_old_and_by_the_new_keys(
    repository: AnyRepository, client: Client, is_old: bool
) -> None:
    """5.3.4."""
    old = repository.signers["root"]
    repository.rotate("root")
    repository.publish("root", by=old if is_old else repository.signers["root"])
    assert client.refresh() == 1
    assert client.versions() == {"root": 1}
    repository.publish("root", by=[*old, *repository.signers["root"]], version=2)
    assert client.refresh() == 0
    assert client.versions() == versions(root=2)


@pytest.mark.parametrize("version", [1, 3])
def test_a_root_is_exactly_one_version_newer(repository: AnyRepository, client: Client, version: int) -> None:
    """5.3.5."""
    repository.root.version = version
    data = signed_bytes(repository.root, repository.signers["root"])
    repository.web.files["metadata/2.root.json"] = data
    assert client.refresh() == 1
    assert client.versions() == {"root": 1}


def test_an_expired_root_on_the_way_is_taken(repository: AnyRepository, client: Client) -> None:
    """5.3.10: only the last one must hold."""
    repository.root.expires = repository.now - timedelta(days=1)
    repository.publish("root")
    repository.root.expires = repository.now + HOLDS
    repository.publish("root")
    assert client.refresh() == 0
    assert client.versions() == versions(root=3)


def test_an_expired_last_root_is_kept_and_refused(repository: AnyRepository, client: Client) -> None:
    """5.3.8, 5.3.10."""
    repository.root.expires = repository.now - timedelta(days=1)
    repository.publish("root")
    assert client.refresh() == 1
    assert client.versions() == {"root": 2}
    assert repository.asked() == ["2.root", "3.root"]


def test_a_root_may_raise_its_own_threshold(repository: AnyRepository, client: Client) -> None:
    for _ in range(2):
        repository.add_key("root")
    repository.root.roles["root"].threshold = 2
    repository.publish("root")
    assert client.refresh() == 0
    repository.publish("root", by=repository.signers["root"][2:])
    assert client.refresh() == 1
    repository.publish("root", by=repository.signers["root"][1:], version=3)
    assert client.refresh() == 0
    assert client.versions() == versions(root=3)


# 5.4 to 5.6: signatures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", TOP[1:])
def test_a_role_needs_its_threshold_of_different_keys(repository: AnyRepository, client: Client, role: str) -> None:
    repository.add_key(role)
    repository.root.roles[role].threshold = 2
    repository.publish("root")
    first = repository.signers[role][:1]
    repository.publish("targets", by=first if role == "targets" else None)
    repository.publish("snapshot", by=first if role == "snapshot" else None)
    repository.publish("timestamp", by=first if role == "timestamp" else None)
    assert client.refresh() == 1
    assert role not in client.versions()
    repository.publish_all()
    assert client.refresh() == 0


def test_one_key_under_two_names_is_one_key(repository: AnyRepository, client: Client) -> None:
    signer = repository.signers["timestamp"][0]
    data = signed_bytes(repository.timestamp, [signer])
    repository.root.roles["timestamp"].threshold = 2
    repository.publish("root")
    metadata = Metadata.from_bytes(data).to_dict()
    metadata["signatures"] *= 2
    repository.web.files["metadata/timestamp.json"] = json.dumps(metadata).encode()
    assert client.refresh() == 1
    assert "timestamp" not in client.versions()


@pytest.mark.parametrize("role", TOP[1:])
def test_new_keys_of_a_role_hold_at_once(repository: AnyRepository, client: Client, role: str) -> None:
    assert client.refresh() == 0
    old = repository.signers[role]
    repository.rotate(role)
    repository.publish("root")
    for one in ("targets", "snapshot", "timestamp"):
        repository.publish(one, by=old if one == role else None)
    assert client.refresh() == 1
    assert client.versions()[role] == 1
    repository.publish_all()
    assert client.refresh() == 0
    assert client.versions()[role] == 3


@pytest.mark.parametrize(
    "generate",
    [CryptoSigner.generate_ed25519, CryptoSigner.generate_ecdsa, CryptoSigner.generate_rsa,
     lambda: CryptoSigner.generate_rsa(scheme="rsa-pkcs1v15-sha256")],
)  # fmt: skip
def test_each_key_type_is_known(
    repository: AnyRepository, client: Client, generate: Callable[[], CryptoSigner]
) -> None:
    repository.signers["targets"] = []
    repository.root.roles["targets"].keyids.clear()
    repository.add_key("targets", generate())
    repository.publish("root")
    repository.publish_all()
    assert client.refresh() == 0
    assert client.versions()["targets"] == 2


def test_a_root_with_a_key_of_an_unknown_type_is_refused_whole(repository: AnyRepository, client: Client) -> None:
    """A limit of python-tuf, so of every device in the field: a new key type waits until all of them know it."""
    stranger = repository.add_key("targets")
    stranger.public_key.keytype = "sphinx"
    stranger.public_key.scheme = "sphinx-2050"
    repository.publish("root")
    assert client.refresh() == 1
    assert client.versions() == {"root": 1}


def test_a_role_that_names_a_key_that_is_not_there_is_judged_by_the_others(
    repository: AnyRepository, client: Client
) -> None:
    repository.root.roles["targets"].keyids.append("0" * 64)
    repository.publish("root")
    assert client.refresh() == 0
    repository.root.roles["targets"].threshold = 2
    repository.publish("root")
    repository.publish_all()
    assert client.refresh() == 1


def test_unknown_fields_are_signed_with_the_rest(repository: AnyRepository, client: Client) -> None:
    """4.1."""
    repository.root.unrecognized_fields["new"] = {"a": [1, None, "é"]}
    repository.root.roles["root"].unrecognized_fields["new"] = "b"
    repository.publish("root")
    for role in ("targets", "snapshot", "timestamp"):
        repository.signed[role].unrecognized_fields["new"] = role
    repository.publish_all()
    assert client.refresh() == 0
    assert client.versions() == versions(root=2, targets=2, snapshot=2, timestamp=2)
    data = repository.web.files["metadata/timestamp.json"]
    repository.web.files["metadata/timestamp.json"] = data.replace(b'"new": "timestamp"', b'"new": "changed"')
    (client.metadata / "timestamp.json").unlink()
    assert client.refresh() == 1


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b'{"signed": {}, "signatures": []}', b"\xff\xfe", b"9" * 9]
)
@pytest.mark.parametrize("name", ["2.root", "timestamp", "1.snapshot", "1.targets"])
def test_what_is_no_metadata_is_refused(repository: AnyRepository, client: Client, name: str, data: bytes) -> None:
    repository.web.files[f"metadata/{name}.json"] = data
    before = client.versions()
    assert client.refresh() == 1
    assert client.versions() == {**before, **dict.fromkeys(client.versions(), 1)}
    assert name.rpartition(".")[2] not in set(client.versions()) - {"root"}


def test_metadata_of_another_role_is_refused(repository: AnyRepository, client: Client) -> None:
    signers = [*repository.signers["snapshot"], *repository.signers["timestamp"]]
    repository.web.files["metadata/timestamp.json"] = signed_bytes(repository.snapshot, signers)
    assert client.refresh() == 1
    assert client.versions() == {"root": 1}


# Versions: rollback and fast-forward ---------------------------------------------------------------------------------


def test_an_older_timestamp_is_refused(repository: AnyRepository, client: Client) -> None:
    """5.4.3."""
    old = repository.web.files["metadata/timestamp.json"]
    repository.publish("timestamp")
    assert client.refresh() == 0
    repository.web.files["metadata/timestamp.json"] = old
    assert client.refresh() == 1
    assert client.versions() == versions(timestamp=2)


def test_the_same_version_of_a_timestamp_is_passed_over(repository: AnyRepository, client: Client) -> None:
    assert client.refresh() == 0
    kept = (client.metadata / "timestamp.json").read_bytes()
    repository.timestamp.snapshot_meta.version = 100
    repository.publish("timestamp", version=1)
    assert client.refresh() == 0
    assert (client.metadata / "timestamp.json").read_bytes() == kept


def test_a_timestamp_that_lists_an_older_snapshot_is_refused(repository: AnyRepository, client: Client) -> None:
    """5.4.3."""
    repository.publish("snapshot", "timestamp")
    assert client.refresh() == 0
    repository.timestamp.snapshot_meta.version = 1
    repository.publish("timestamp")
    assert client.refresh() == 1
    assert client.versions() == versions(snapshot=2, timestamp=2)


def test_a_snapshot_that_lists_older_targets_is_refused(repository: AnyRepository, client: Client) -> None:
    """5.5.5."""
    repository.publish("targets", "snapshot", "timestamp")
    assert client.refresh() == 0
    repository.snapshot.meta["targets.json"].version = 1
    repository.publish("snapshot", "timestamp")
    assert client.refresh() == 1
    assert client.versions() == versions(targets=2, snapshot=2, timestamp=3)


def test_a_snapshot_that_leaves_a_role_out_is_refused(repository: AnyRepository, client: Client) -> None:
    """5.5.5."""
    repository.delegate("extra")
    repository.publish_all()
    assert client.refresh() == 0
    del repository.snapshot.meta["extra.json"]
    repository.publish("snapshot", "timestamp")
    assert client.refresh() == 1
    assert client.versions()["snapshot"] == 2


@pytest.mark.parametrize(("role", "version"), [("snapshot", 3), ("targets", 3)])
def test_a_file_of_another_version_than_is_listed_is_refused(
    repository: AnyRepository, client: Client, role: str, version: int
) -> None:
    """5.5.4, 5.6.4."""
    assert client.refresh() == 0
    for one in ("targets", "snapshot", "timestamp"):
        repository.publish(one)
        if one == role:
            repository.signed[role].version = version
            data = signed_bytes(repository.signed[role], repository.signers[role])
            repository.web.files[f"metadata/2.{role}.json"] = data
    assert client.refresh() == 1
    assert client.versions()[role] == 1


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_new_keys_end_a_fast_forward(repository: AnyRepository, client: Client, role: str) -> None:
    """5.3.11: a thief has driven the version to the sky; new keys, and the old numbers hold again."""
    if role == "snapshot":
        repository.publish("snapshot", version=9999)
    repository.publish("timestamp", version=9999)
    assert client.refresh() == 0
    repository.rotate("timestamp")
    if role == "snapshot":
        repository.rotate("snapshot")
        repository.publish("snapshot", version=2)
    repository.publish("root")
    repository.publish("timestamp", version=2)
    assert client.refresh() == 0
    assert client.versions()["timestamp"] == 2


@pytest.mark.parametrize("rotated", [("snapshot",), ("timestamp", "snapshot", "targets")])
@pytest.mark.parametrize("role", ["targets", "extra"])
def test_new_keys_of_the_snapshot_end_a_fast_forward_of_what_it_lists(
    repository: AnyRepository, client: Client, role: str, rotated: tuple[str, ...]
) -> None:
    repository.delegate("extra")
    repository.publish("extra", "targets")
    repository.publish(role, version=9999)
    repository.publish("snapshot", "timestamp")
    assert client.download("none") == 1
    assert client.versions()[role] == 9999
    for one in rotated:
        repository.rotate(one)
    repository.publish("root")
    repository.publish(role, version=9000)
    repository.publish("targets", version=2 if role == "targets" else None)
    repository.publish("snapshot", "timestamp")
    assert client.refresh() == 0
    assert client.download("none") == 1
    assert client.versions()[role] == (2 if role == "targets" else 9000)


def test_new_keys_of_the_targets_alone_do_not_lower_what_the_snapshot_has_said(
    repository: AnyRepository, client: Client
) -> None:
    repository.publish("targets", version=9999)
    repository.publish("snapshot", "timestamp")
    assert client.refresh() == 0
    repository.rotate("targets")
    repository.publish("root")
    repository.publish("targets", version=2)
    repository.publish("snapshot", "timestamp")
    assert client.refresh() == 1
    assert client.versions()["targets"] == 9999


def test_a_key_more_does_not_lower_a_version(repository: AnyRepository, client: Client) -> None:
    old = dict(repository.web.files)
    repository.publish("timestamp")
    assert client.refresh() == 0
    repository.add_key("timestamp")
    repository.publish("root")
    repository.web.files["metadata/timestamp.json"] = old["metadata/timestamp.json"]
    for lost in ("timestamp.json", "snapshot.json"):
        (client.metadata / lost).unlink()
    assert client.refresh() == 1
    assert "timestamp" not in client.versions()


# Expiry --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", TOP[1:])
def test_an_expired_role_is_refused(repository: AnyRepository, client: Client, role: str) -> None:
    """5.4.4, 5.5.6, 5.6.5."""
    assert client.refresh() == 0
    repository.signed[role].expires = repository.now - timedelta(seconds=5)
    repository.publish_all()
    assert client.refresh() == 1
    if role in ("snapshot", "targets"):
        assert client.versions()[role] == 1
    repository.signed[role].expires = repository.now + HOLDS
    repository.publish_all()
    assert client.refresh() == 0
    assert client.versions() == versions(targets=3, snapshot=3, timestamp=3)


def test_a_frozen_repository_is_refused_when_its_timestamp_ends(repository: AnyRepository, client: Client) -> None:
    assert client.refresh() == 0
    client.later = HOLDS + timedelta(hours=1)
    assert client.refresh() == 1
    client.later = HOLDS - timedelta(hours=1)
    assert client.refresh() == 0


def test_expired_metadata_in_the_cache_still_guards_against_older(repository: AnyRepository, client: Client) -> None:
    old = repository.web.files["metadata/timestamp.json"]
    repository.timestamp.expires = repository.now + timedelta(days=1)
    repository.publish("timestamp")
    assert client.refresh() == 0
    client.later = timedelta(days=2)
    repository.web.files["metadata/timestamp.json"] = old
    assert client.refresh() == 1
    assert client.versions() == versions(timestamp=2)


# Hashes and lengths --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["snapshot", "targets"])
@pytest.mark.parametrize("fault", ["hash", "length"])
def test_a_file_that_is_not_what_was_listed_is_refused(tmp_path: Path, role: str, fault: str) -> None:
    """5.5.2, 5.6.2."""
    repository = AnyRepository(has_hashes=True)
    with client_of(repository, tmp_path) as client:
        assert client.refresh() == 0
        for one in ("targets", "snapshot", "timestamp"):
            repository.publish(one)
            if one == role:
                meta = (
                    repository.timestamp.snapshot_meta
                    if role == "snapshot"
                    else repository.snapshot.meta["targets.json"]
                )
                if fault == "hash":
                    meta.hashes = {"sha256": "0" * 64}
                else:
                    meta.length -= 1
        assert client.refresh() == 1
        assert client.versions()[role] == 1
        repository.publish_all()
        assert client.refresh() == 0


def test_no_signed_length_lets_a_file_fill_the_memory(tmp_path: Path) -> None:
    repository = AnyRepository(has_hashes=True)
    repository.put("targets", signed_bytes(repository.targets, repository.signers["targets"]) + b" " * 5_000_000)
    repository.publish("snapshot", "timestamp")
    with client_of(repository, tmp_path) as client:
        assert client.refresh() == 1
        assert client.versions() == {"root": 1, "timestamp": 2, "snapshot": 2}
