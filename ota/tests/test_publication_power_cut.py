"""The publishing machine loses its power at every step of a publication, in every way that a disk has.

What is served then is the old listing or the new one, whole down to the blobs; the same command once more completes it.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ota.errors import RefusedError
from ota.repository import ceremony, release, signatures
from ota.repository.build import Facts
from ota.repository.inspection import inspect
from ota.repository.key_changes import change_key
from ota.repository.keys import KeyRole, SigningKey
from ota.repository.publish import prepare
from ota.repository.verify import read_images
from ota.repository.workspace import Workspace
from ota.testing.disk_double import DiskDouble

NOW = datetime(2026, 6, 1, tzinfo=UTC)
IMAGE = "rsu/gateway/1.tar"


class Machine:
    """Three holders and a publishing machine, all in memory."""

    def __init__(self) -> None:
        self.root = [SigningKey.new(KeyRole.ROOT, name) for name in ("alice", "bob", "carol")]
        self.targets = [SigningKey.new(KeyRole.TARGETS, name) for name in ("alice", "bob", "carol")]
        self.online = [SigningKey.new(KeyRole.ONLINE, "server"), SigningKey.new(KeyRole.ONLINE, "server2")]
        self.disk = DiskDouble()
        made = ceremony.begin(
            self.disk,
            root=[key.public for key in self.root],
            targets=[key.public for key in self.targets],
            online=self.online[0].public,
            director=SigningKey.new(KeyRole.DIRECTOR, "server").public,
            families={"rsu": [key.public for key in self.targets]},
            now=NOW,
        )
        made.apply(self.disk)
        self.sign()
        self.publish(self.disk)

    def sign(self) -> None:
        for one in Workspace(self.disk).pending():
            for key in (self.root if one.role == "root" else self.targets)[:2]:
                name, data = signatures.sign(one.metadata, one.file, key)
                self.disk.write(f"{one.folder}/{name}", 0, data)

    def publish(self, disk: DiskDouble) -> None:
        publication = prepare(Workspace(disk), NOW)
        online = next(k for k in self.online if k.public.keyid in publication.root.roles["timestamp"].keyids)
        publication.sign(online).apply(disk)

    def cut_everywhere(self, check: Callable[[DiskDouble], None]) -> int:
        """Publish, with a look at each disk that a cut at each step may leave; how many there were."""
        seen = {self.disk.state()}

        def look(_step: str, _name: str) -> None:
            for found in self.disk.after_cut(most=1):
                if found.state() not in seen:
                    seen.add(found.state())
                    check(found)

        self.disk = self.disk.settled()
        self.disk.begun = look
        self.publish(self.disk)
        look("end", "")
        return len(seen)


def test_a_release_is_served_whole_or_not_at_all(tmp_path: Path) -> None:
    machine = Machine()
    (tmp_path / "run.py").write_text("print(1)")
    facts = Facts("release-dir", "rsu/gateway", "1", 1, ["rsu-arm64"], ["python", "run.py"])
    release.add_release(Workspace(machine.disk), tmp_path, facts, NOW, deltas=0).apply(machine.disk)
    machine.sign()
    listings = set()

    def check(found: DiskDouble) -> None:
        workspace = Workspace(found)
        listings.add(inspect(workspace.read_public, [], NOW).images)
        machine.publish(found)
        assert list(read_images(workspace.read_public, NOW).listed) == [IMAGE]
        assert workspace.pending() == []

    assert machine.cut_everywhere(check) > 500
    assert listings == {0, 1}


def test_with_a_new_online_key_only_the_moment_between_root_and_timestamp_is_refused() -> None:
    machine = Machine()
    old, new = machine.online[0].public, machine.online[1].public
    change_key(Workspace(machine.disk), old.keyid, new, NOW).apply(machine.disk)
    machine.sign()
    refusals = set()

    def check(found: DiskDouble) -> None:
        workspace = Workspace(found)
        try:
            read_images(workspace.read_public, NOW)
        except RefusedError as error:
            refusals.add(error.what)
        machine.publish(found)
        assert read_images(workspace.read_public, NOW).root.version == 2
        assert workspace.pending() == []

    assert machine.cut_everywhere(check) > 50
    assert refusals == {"metadata/timestamp.json"}
