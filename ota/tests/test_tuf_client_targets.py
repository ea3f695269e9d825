"""The client under test: delegations, names that are odd, artifacts, and the contract of its command line."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from ota.testing.web_double import Faults
from ota.tests.any_repository import HOLDS, AnyRepository, Client, client_of
from tools.cli import app

ROOT = Path(__file__).parents[2]
TOP_ASKED = ["2.root", "timestamp", "1.snapshot", "1.targets"]


@pytest.fixture
def repository() -> AnyRepository:
    return AnyRepository()


@pytest.fixture
def client(repository: AnyRepository, tmp_path: Path) -> Iterator[Client]:
    with client_of(repository, tmp_path) as client:
        yield client


# Delegations: the specification, 1.0.34, 5.6.7 -----------------------------------------------------------------------

GRAPHS: dict[str, tuple[list[tuple[str, str, bool, list[str]]], list[str]]] = {
    # name: ([(delegator, role, is terminating, paths)], roles that are read for `a/file`, which nobody lists)
    "a chain": (
        [("targets", "A", False, ["*/*"]), ("A", "B", False, ["*/*"]), ("B", "C", False, ["*/*"])],
        ["A", "B", "C"],
    ),
    "depth before breadth": (
        [("targets", "A", False, ["*/*"]), ("targets", "B", False, ["*/*"]), ("A", "C", False, ["*/*"])],
        ["A", "C", "B"],
    ),
    "the order of the delegator": (
        [("targets", "Z", False, ["*/*"]), ("targets", "A", False, ["*/*"])],
        ["Z", "A"],
    ),
    "a terminating role ends the search": (
        [("targets", "A", True, ["*/*"]), ("targets", "B", False, ["*/*"]), ("A", "C", False, ["*/*"])],
        ["A", "C"],
    ),
    "a terminating role deep in the tree ends it for all": (
        [("targets", "A", False, ["*/*"]), ("A", "B", True, ["*/*"]), ("A", "C", False, ["*/*"]),
         ("targets", "D", False, ["*/*"])],
        ["A", "B"],
    ),
    "a terminating role for other paths ends nothing": (
        [("targets", "A", True, ["b/*"]), ("targets", "B", False, ["a/*"])],
        ["B"],
    ),
    "a role is not asked beyond its paths": (
        [("targets", "A", False, ["a/*"]), ("A", "B", False, ["b/*"]), ("targets", "C", False, ["c/*"])],
        ["A"],
    ),
    "a star stays in its folder": ([("targets", "A", False, ["*"]), ("targets", "B", False, ["a/f?le"])], ["B"]),
    "a circle": (
        [("targets", "A", False, ["*/*"]), ("A", "B", False, ["*/*"]), ("B", "A", False, ["*/*"])],
        ["A", "B"],
    ),
    "a role that delegates to itself": ([("targets", "A", False, ["*/*"]), ("A", "A", False, ["*/*"])], ["A"]),
}  # fmt: skip


@pytest.mark.parametrize("graph", GRAPHS)
def test_delegations_are_searched_in_order(repository: AnyRepository, client: Client, graph: str) -> None:
    edges, read = GRAPHS[graph]
    signers = {}
    for delegator, role, is_terminating, paths in edges:
        repository.delegate(role, paths, by=delegator, is_terminating=is_terminating, signer=signers.get(role))
        signers[role] = repository.signers[role][0]
        del repository.signers[role][1:]
    repository.publish_all()
    assert client.download("a/file") == 1
    assert repository.asked() == [*TOP_ASKED[:2], "2.snapshot", "2.targets", *(f"1.{role}" for role in read)]
    assert set(client.versions()) == {"root", "timestamp", "snapshot", "targets", *read}


def test_the_first_role_that_lists_a_target_is_believed(repository: AnyRepository, client: Client) -> None:
    for role in ("A", "B"):
        repository.delegate(role)
        repository.add_target("file", role.encode(), role)
    repository.publish_all()
    assert client.download("file") == 0
    assert client.downloaded() == {"file": b"A"}
    assert "1.B" not in repository.asked()


def test_what_a_role_lists_beyond_its_paths_is_not_believed(repository: AnyRepository, client: Client) -> None:
    repository.delegate("A", ["a/*"])
    repository.add_target("b/file", b"x", "A")
    repository.publish_all()
    assert client.download("b/file") == 1
    assert client.downloaded() == {}


def test_a_role_with_two_delegators_is_verified_by_each(repository: AnyRepository, client: Client) -> None:
    """What the key of one delegator has signed is not believed in the name of the other."""
    repository.delegate("A", ["a"])
    repository.delegate("B", ["*"])
    repository.delegate("C", ["a"], by="A")
    repository.delegate("C", ["b"], by="B")
    repository.add_target("a", b"a", "C")
    repository.add_target("b", b"b", "C")
    both = repository.signers["C"]
    repository.publish("C", by=both[:1])
    repository.publish("A", "B", "targets", "snapshot", "timestamp")
    assert client.download("a") == 0
    assert client.download("b") == 1
    assert client.download("a", "b") == 1
    repository.publish("C", by=both)
    repository.publish("snapshot", "timestamp")
    assert client.download("a", "b") == 0


def test_a_delegated_role_that_the_snapshot_does_not_list_is_refused(repository: AnyRepository, client: Client) -> None:
    repository.delegate("A")
    repository.publish_all()
    del repository.snapshot.meta["A.json"]
    repository.publish("snapshot", "timestamp")
    assert client.download("file") == 1


@pytest.mark.parametrize("fault", ["unsigned", "expired", "version"])
def test_a_delegated_role_that_does_not_hold_ends_the_search(
    repository: AnyRepository, client: Client, fault: str
) -> None:
    repository.delegate("A")
    repository.delegate("B")
    repository.add_target("file", b"x", "B")
    if fault == "expired":
        repository.signed["A"].expires = repository.now - HOLDS
    repository.publish("A", by=[] if fault == "unsigned" else None)
    if fault == "version":
        repository.snapshot.meta["A.json"].version = 2
        repository.web.files["metadata/2.A.json"] = repository.web.files["metadata/1.A.json"]
    repository.publish("B", "targets", "snapshot", "timestamp")
    assert client.download("file") == 1
    assert client.downloaded() == {}
    assert "A" not in client.versions()


def test_new_keys_of_a_delegated_role_hold_at_once(repository: AnyRepository, client: Client) -> None:
    repository.delegate("A")
    repository.add_target("file", b"x", "A")
    repository.publish_all()
    assert client.download("file") == 0
    old = repository.signers.pop("A")
    repository.delegate("A")
    repository.publish("A", by=old)
    repository.publish("targets", "snapshot", "timestamp")
    assert client.download("file") == 1
    repository.publish_all()
    assert client.download("file") == 0


def test_paths_may_be_delegated_by_their_hash(repository: AnyRepository, client: Client) -> None:
    prefix = hashlib.sha256(b"file").hexdigest()[:2]
    other = "00" if prefix != "00" else "01"
    repository.delegate("A", path_hash_prefixes=[other])
    repository.delegate("B", path_hash_prefixes=[prefix])
    repository.add_target("file", b"x", "B")
    repository.publish_all()
    assert client.download("file") == 0
    assert {"1.A", "1.B"} & set(repository.asked()) == {"1.B"}


def test_paths_may_be_delegated_to_hash_bins(repository: AnyRepository, client: Client) -> None:
    repository.delegate_bins("bin", 3)
    number = int(hashlib.sha256(b"file").hexdigest()[:1], 16) >> 1
    repository.add_target("file", b"x", f"bin-{number:x}")
    repository.publish_all()
    assert client.download("file") == 0
    assert client.downloaded() == {"file": b"x"}


def test_no_more_than_32_roles_are_read_for_a_target(repository: AnyRepository, client: Client) -> None:
    for number in range(40):
        repository.delegate(f"R{number}")
    repository.add_target("file", b"x", "R39")
    repository.publish_all()
    assert client.download("file") == 1
    assert len([name for name in repository.asked() if name.startswith("1.R")]) <= 32


# Names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["?", "#", "/A", "../A", "..", ".", "a b", "%2e", "ü", "A\\B", "x" * 80, "1.root"])
def test_an_odd_role_name_is_quoted_on_the_line_and_on_the_disk(
    repository: AnyRepository, client: Client, role: str, tmp_path: Path
) -> None:
    repository.delegate(role)
    repository.add_target("file", b"x", role)
    repository.publish_all()
    before = set(tmp_path.iterdir())
    assert client.download("file") == 0
    assert len(client.versions()) == 5
    assert set(tmp_path.iterdir()) - before <= {client.targets}
    assert client.refresh() == 0


@pytest.mark.parametrize(
    "path", ["a/b/c.txt", "a b", "%20", "ü/ö", "../up", "..", ".hidden", "/abs", "a//b", "x" * 240, "a;b=c&d", "[1]"]
)
def test_an_odd_target_name_stays_in_its_folder(
    repository: AnyRepository, client: Client, path: str, tmp_path: Path
) -> None:
    target = repository.add_target(path, b"content")
    repository.publish_all()
    served = repository.web.files
    folder, slash, file = path.rpartition("/")
    wanted = f"{folder}{slash}{target.hashes['sha256']}.{file}"
    served[f"targets/{quote(wanted, '%/;=&[]')}"] = b"content"
    before = set(tmp_path.rglob("*"))
    assert client.download(path) == 0
    assert list(client.downloaded().values()) == [b"content"]
    assert {made.parent for made in set(tmp_path.rglob("*")) - before if made.is_file()} <= {
        client.targets,
        client.metadata,
    }


# Artifacts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_hash", [False, True])
def test_a_target_name_that_is_no_text_is_refused(
    repository: AnyRepository, client: Client, capsys: pytest.CaptureFixture[str], *, by_hash: bool
) -> None:
    """An argument may be any bytes; Python gives those that are no UTF-8 as half characters."""
    if by_hash:
        repository.delegate("A", path_hash_prefixes=["00"])
        repository.publish_all()
    assert client.download("\udcff") == 1
    assert capsys.readouterr().err.startswith("tuf-client: format: ")


def test_a_target_is_fetched_once_and_again_when_it_changes(repository: AnyRepository, client: Client) -> None:
    repository.add_target("file", b"one")
    repository.publish_all()
    assert client.download("file") == 0
    repository.web.asked.clear()
    assert client.download("file") == 0
    assert not any(path.startswith("targets/") for path, _ in repository.web.asked)
    repository.add_target("file", b"two")
    repository.publish_all()
    assert client.download("file") == 0
    assert client.downloaded() == {"file": b"two"}


def test_a_target_that_was_spoiled_on_the_disk_is_fetched_anew(repository: AnyRepository, client: Client) -> None:
    repository.add_target("file", b"one")
    repository.publish_all()
    assert client.download("file") == 0
    (client.targets / "file").write_bytes(b"0ne")
    assert client.download("file") == 0
    assert client.downloaded() == {"file": b"one"}


@pytest.mark.parametrize("served", [b"evil", b"on", b"one and more", b"", None])
def test_a_target_that_is_not_as_signed_is_refused_and_the_old_one_stays(
    repository: AnyRepository, client: Client, served: bytes | None
) -> None:
    repository.add_target("file", b"old")
    repository.publish_all()
    assert client.download("file") == 0
    target = repository.add_target("file", b"one")
    repository.publish_all()
    name = f"targets/{target.hashes['sha256']}.file"
    if served is None:
        del repository.web.files[name]
    else:
        repository.web.files[name] = served
    assert client.download("file") == 1
    assert client.downloaded() == {"file": b"old"}


def test_endless_targets_are_left_at_their_length(repository: AnyRepository, client: Client) -> None:
    repository.add_target("file", b"one")
    repository.publish_all()
    assert client.refresh() == 0
    repository.web.faults_at = {len(repository.web.asked) + 2: Faults(is_endless=True)}
    assert client.download("file") == 1
    assert client.downloaded() == {}


def test_without_consistent_snapshots_a_target_has_its_own_name(tmp_path: Path) -> None:
    repository = AnyRepository(is_consistent=False)
    repository.add_target("a/file", b"one")
    repository.publish_all()
    with client_of(repository, tmp_path) as client:
        assert client.download("a/file") == 0
        assert ("targets/a/file", "") in repository.web.asked


# The contract --------------------------------------------------------------------------------------------------------


def test_it_runs_as_a_process_of_its_own(repository: AnyRepository, client: Client) -> None:
    repository.add_target("file", b"one")
    repository.publish_all()
    url = repository.web.url
    words = [
        "--metadata-url", f"{url}/metadata", "--metadata-dir", str(client.metadata), "--target-name", "file",
        "--target-dir", str(client.targets), "--target-base-url", f"{url}/targets", "download",
    ]  # fmt: skip
    for expected in (0, 1):
        command = [sys.executable, "-m", "tools.tuf_client", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (expected, "")
        assert len(done.stderr.splitlines()) == expected, done.stderr
        words[5] = "nothing"
    assert client.downloaded() == {"file": b"one"}
    assert [name for name in client.metadata.iterdir() if name.suffix == ".json"]


@pytest.mark.parametrize(
    "words",
    ["", "refresh", "--metadata-dir {0} refresh", "--metadata-dir {0} frob", "--frob", "--metadata-dir {0} init",
     "--metadata-dir {0} init /nowhere/root.json", "--metadata-dir {0}/new --metadata-url http://127.0.0.1:1 refresh",
     "--metadata-dir {0} --metadata-url x --target-name y download"],
)  # fmt: skip
def test_wrong_usage_ends_with_1_and_never_2(tmp_path: Path, words: str) -> None:
    outcome = CliRunner().invoke(app, ["ota", "tuf-client", *words.format(tmp_path).split()])
    assert outcome.exit_code == 1
    assert outcome.stdout == ""
    assert "Traceback" not in outcome.stderr


def test_nothing_else_in_its_folder_ends_in_json(repository: AnyRepository, client: Client) -> None:
    repository.delegate("A")
    repository.publish("root")
    repository.publish_all()
    assert client.download("file") == 1
    assert sorted(client.versions()) == ["A", "root", "snapshot", "targets", "timestamp"]
