"""What a new version of metadata says otherwise than the one before it, for the eyes of who signs it."""

from typing import Any

from tuf.api.metadata import Delegations, Metadata, Role, Root, TargetFile, Targets

from ota.repository.change_set import Change
from ota.repository.keys import holder_of, introduced
from ota.targets import decode_image_info


def differences(old: Metadata[Any] | None, new: Metadata[Any], file: str) -> list[Change]:
    """In the order of importance; the version and how long it holds come first. Raises `RefusedError`."""
    said = f"{new.signed.version}, holds until {new.signed.expires:%Y-%m-%d}"
    changes = [Change("new version", file, said)]
    before = old.signed if old is not None else None
    if isinstance(new.signed, Root):
        changes += _keys(before, new.signed, file)
    elif isinstance(new.signed, Targets):
        changes += _families(before, new.signed, file)
        changes += _images(before.targets if isinstance(before, Targets) else {}, new.signed.targets, file)
    return changes


def _keys(old: Root | None, new: Root, file: str) -> list[Change]:
    changes = []
    for role, value in sorted(new.roles.items()):
        before = set(old.roles[role].keyids) if old is not None else set()
        for keyid in value.keyids:
            if keyid not in before:
                said = f"{introduced(new.keys[keyid])} for {role}, {value.threshold} of {len(value.keyids)}"
                changes.append(Change("add key", file, said))
        for keyid in sorted(before - set(value.keyids)):
            assert old is not None
            changes.append(Change("remove key", file, f"{holder_of(old.keys[keyid])} for {role}"))
        changes += _threshold(old.roles[role] if old is not None else None, value, role, file)
    return changes


def _families(old: Targets | None, new: Targets, file: str) -> list[Change]:
    changes: list[Change] = []
    before = old.delegations.roles or {} if old is not None and old.delegations is not None else {}
    delegations = new.delegations or Delegations({}, {})
    for name, role in (delegations.roles or {}).items():
        was = before.get(name)
        if was is None:
            said = ", ".join(introduced(delegations.keys[keyid]) for keyid in role.keyids)
            subject = f"{name} ({', '.join(role.paths or [])}), {role.threshold} of {said}"
            changes.append(Change("delegate", file, subject))
            continue
        keys = {**(old.delegations.keys if old is not None and old.delegations is not None else {}), **delegations.keys}
        added = [keyid for keyid in role.keyids if keyid not in was.keyids]
        removed = [keyid for keyid in was.keyids if keyid not in role.keyids]
        changes += [Change("add key", file, f"{introduced(keys[keyid])} for {name}") for keyid in added]
        changes += [Change("remove key", file, f"{holder_of(keys[keyid])} for {name}") for keyid in removed]
        changes += _threshold(was, role, name, file)
    changes += [Change("remove family", file, name) for name in before if name not in (delegations.roles or {})]
    return changes


def _threshold(was: Role | None, role: Role, name: str, file: str) -> list[Change]:
    if was is None or was.threshold == role.threshold:
        return []
    before = f"{was.threshold} of {len(was.keyids)}"
    return [Change("threshold", file, f"{name}: {role.threshold} of {len(role.keyids)}, was {before}")]


def _images(old: dict[str, TargetFile], new: dict[str, TargetFile], file: str) -> list[Change]:
    changes = [Change("add image", file, _image(new[path])) for path in new if path not in old]
    changes += [
        Change("change image", file, _image(new[path])) for path in new if path in old and old[path] != new[path]
    ]
    changes += [Change("remove image", file, path) for path in old if path not in new]
    return changes


def _image(file: TargetFile) -> str:
    info = decode_image_info(file.custom, file.path)
    floor = f", nothing below {info.min_counter} after it" if info.min_counter else ""
    return (
        f"{file.path} (counter {info.counter}{floor}, for {', '.join(info.hardware)}, {file.length:,} bytes,"
        f" sha256 {file.hashes['sha256']})"
    )
