"""How a repository begins, and how a key holder signs. Each step is a `ChangeSet`: looked at first, then applied."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from tuf.api.metadata import Metadata, Root

from ota.errors import RefusedError, Rule
from ota.repository import signatures
from ota.repository.change_set import ChangeSet
from ota.repository.differences import differences
from ota.repository.files import read_file
from ota.repository.keys import KeyRole, PublicKey, Signatory
from ota.repository.layout import PUBLIC, STAGED, STAGED_DIRECTOR, STAGED_IMAGE
from ota.repository.roles import (
    check_family,
    check_root,
    check_tree,
    director_root,
    family_targets,
    image_root,
    top_targets,
)
from ota.repository.verify import DIRECTOR_ONLINE
from ota.repository.workspace import Workspace, staged_bytes
from ota.storage import Storage
from ota.targets import is_directors


def begin(
    storage: Storage,
    *,
    root: Sequence[PublicKey],
    targets: Sequence[PublicKey],
    online: PublicKey,
    director: PublicKey,
    families: Mapping[str, Sequence[PublicKey]],
    now: datetime,
) -> ChangeSet:
    """The first metadata of both repositories, unsigned, into `staged/`. Raises `RefusedError`."""
    for folder in (PUBLIC, STAGED):
        if storage.list(folder):
            raise RefusedError(Rule.STORAGE, folder, "there is a repository already, and it is not replaced")
    if not families:
        raise RefusedError(Rule.ROLE, "targets", "it needs a product family to delegate to")
    for role, keys in (("root", root), ("targets", targets), *families.items()):
        different_holders(role, keys)
    made = ChangeSet()
    stage(made, STAGED_IMAGE, "root", image_root(root, targets, online, now), None)
    stage(made, STAGED_IMAGE, "targets", top_targets(families, now), None)
    for family in families:
        stage(made, STAGED_IMAGE, family, family_targets(now), None)
    stage(made, STAGED_DIRECTOR, "root", director_root(root, director, now), None)
    return made


def stage(changes: ChangeSet, folder: str, role: str, metadata: Metadata[Any], published: Metadata[Any] | None) -> None:
    """Put unsigned metadata to what a step writes, and say what is new in it."""
    name = signatures.name_of(metadata, role)
    changes.files[f"{folder}/{name}"] = staged_bytes(metadata)
    changes.replaced.add(f"{folder}/{name}")  # a draft that nobody has signed
    changes.changes += differences(published, metadata, f"{folder}/{name}")


def renew(workspace: Workspace, role: str, now: datetime) -> ChangeSet:
    """A new version of offline metadata that says the same and holds for another year. Raises `RefusedError`."""
    made = ChangeSet()
    images = workspace.published_images()
    if role == "root":
        stage(made, STAGED_IMAGE, role, workspace.draft(STAGED_IMAGE, role, images.roots[-1], now), images.roots[-1])
        roots = workspace.director_roots()
        stage(made, STAGED_DIRECTOR, role, workspace.draft(STAGED_DIRECTOR, role, roots[-1], now), roots[-1])
        return made
    published = images.targets if role == "targets" else images.families.get(role)
    if published is None:
        raise RefusedError(Rule.ROLE, role, "there is no such offline role")
    stage(made, STAGED_IMAGE, role, workspace.draft(STAGED_IMAGE, role, published, now), published)
    return made


class Paper(NamedTuple):
    """What a holder has in front of them, read once: what they are shown is what they sign."""

    file: Path
    metadata: Metadata[Any]


def read_to_sign(file: Path, role: KeyRole) -> Paper:
    """Read what is to be signed with a key of that role. Raises `RefusedError` where no holder signs such a thing."""
    what = str(file)
    metadata = signatures.parse(read_file(file), what)
    name = signatures.check_key_role(metadata, what, role)
    if isinstance(metadata.signed, Root):
        online = DIRECTOR_ONLINE if is_directors(metadata.signed) else DIRECTOR_ONLINE[1:]
        check_root(metadata.signed, what, online=online)
    elif name == "targets":
        check_tree(metadata.signed, {}, what)
    else:
        check_family(name, metadata.signed, what)
    return Paper(file, metadata)


def look_at(paper: Paper, against: Path | None = None) -> ChangeSet:
    """What it says, in words. `against`: the version before it, so that what is shown is what is new."""
    old = None
    if against is not None:
        old = signatures.parse(read_file(against), str(against))
        if type(old.signed) is not type(paper.metadata.signed):
            raise RefusedError(Rule.ROLE, str(against), f"it holds {old.signed.type}, not what {paper.file.name} does")
    return ChangeSet(changes=differences(old, paper.metadata, str(paper.file)))


def sign_paper(paper: Paper, key: Signatory) -> ChangeSet:
    """A holder's signature, to lie beside the file that they have in front of them. Raises `RefusedError`.

    One that lies there stays: the same key may sign the same words otherwise each time (ECDSA).
    """
    file, metadata = paper
    name, data = signatures.sign(metadata, str(file), key)
    beside = file.parent / name
    if beside.exists() and signatures.is_by(key, metadata, str(file), known := read_file(beside)):
        data = known
    made = ChangeSet(files={name: data})
    made.say("sign", name, f"{key.public.holder} ({key.public.keyid[:8]})")
    return made


def different_holders(role: str, keys: Sequence[PublicKey]) -> None:
    """Raises `RefusedError` where one person holds two keys of a role."""
    names = [key.holder for key in keys]
    for name in names:
        if names.count(name) > 1:
            reason = f"{name} holds {names.count(name)} of its keys; two signatures are to be those of two persons"
            raise RefusedError(Rule.THRESHOLD, role, reason)
