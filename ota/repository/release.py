"""A release into the listing of its product family: built, staged, to be signed by the family's holders."""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from tuf.api.metadata import TargetFile

from ota.errors import RefusedError, Rule
from ota.repository.build import Facts, build, check, unpacked
from ota.repository.ceremony import stage
from ota.repository.change_set import ChangeSet
from ota.repository.layout import BLOBS, BOM, PUBLIC, STAGED, STAGED_IMAGE
from ota.repository.planning import check_unplanned
from ota.repository.roles import check_family, target_file
from ota.repository.signatures import name_of
from ota.repository.workspace import Workspace
from ota.targets import ImageInfo, decode_image_info

BOM_FIELD = "bom"
"""Beside `ImageInfo` in a target's `custom`: the SHA-256 of its bill of materials."""


def add_release(
    workspace: Workspace,
    folder: Path,
    facts: Facts,
    now: datetime,
    *,
    deltas: int = 3,
    keep: int | None = None,
    progress: Callable[[str], None] = lambda _text: None,
) -> ChangeSet:
    """Build and stage. `deltas`: from so many of the newest releases; `keep`: list so many, the newest, of the product.

    Raises `RefusedError` and `StorageError`.
    """
    check(facts)
    images = workspace.published_images()
    family = facts.family.partition("/")[0]
    published = images.families.get(family)
    if published is None:
        reason = f"there is no such product family; there are {', '.join(sorted(images.families))}"
        raise RefusedError(Rule.ROLE, family, reason)
    draft = workspace.draft(STAGED_IMAGE, family, published, now)
    listed = draft.signed.targets
    older = _releases(listed, facts)
    if facts.path in listed:
        raise RefusedError(Rule.VERSION, facts.path, "it is listed already; a release is never replaced")
    if older and facts.counter <= older[0][1].counter:
        reason = (
            f"counter {facts.counter}; that of {older[0][0]} is {older[0][1].counter}, and each release has a higher"
        )
        raise RefusedError(Rule.VERSION, facts.path, reason)
    if keep is not None:
        dropped = [path for path, _info in older[max(keep - 1, 0) :]]
        check_unplanned(workspace, dropped)
        for path in dropped:
            del listed[path]
    bases = []
    for path, info in older[: 0 if facts.kind == "rauc" else deltas]:
        progress(path)
        bases.append(_image(workspace, path, info))
    release = build(folder, facts, bases)
    digest = sha256(release.bom).hexdigest()
    listed[facts.path] = target_file(release.target, {BOM_FIELD: digest})
    check_family(family, draft.signed, name_of(draft, family))
    made = ChangeSet(facts={"path": facts.path, "sha256": release.target.sha256, "bom": digest})
    made.files = {f"{STAGED}/{BLOBS}/{name}": data for name, data in release.blobs.items()}
    made.files[f"{STAGED}/{BOM}/{release.target.sha256}.cdx.json"] = release.bom
    stage(made, STAGED_IMAGE, family, draft, published)
    for blob in (*release.target.info.full, *release.target.info.deltas):
        part = blob.length / release.target.length if release.target.length else 0
        made.say(
            "add blob", f"{BLOBS}/{blob.sha256[:16]}…", f"{blob.codec}, {blob.length:,} bytes, {part:.2%} of the image"
        )
    return made


def _releases(listed: dict[str, TargetFile], facts: Facts) -> list[tuple[str, ImageInfo]]:
    """Of the same product, the newest first."""
    found = [(path, decode_image_info(file.custom, path)) for path, file in listed.items()]
    found = [(path, info) for path, info in found if info.family == facts.family]
    return sorted(found, key=lambda one: one[1].counter, reverse=True)


def _image(workspace: Workspace, path: str, info: ImageInfo) -> bytes:
    """An older image, out of its blob. Raises `RefusedError`, `StorageError`."""
    for blob in info.full:
        for folder in (PUBLIC, STAGED):
            name = f"{folder}/{BLOBS}/{blob.sha256}"
            if workspace.storage.size(name) >= 0:
                data = workspace.storage.read(name)
                if sha256(data).hexdigest() != blob.sha256:
                    raise RefusedError(Rule.HASH, name, f"it is not what the metadata of {path} names")
                return unpacked(blob, data, name)
    reason = "none of its blobs is here, so no delta can be made from it; --deltas 0 makes none"
    raise RefusedError(Rule.STORAGE, path, reason)
