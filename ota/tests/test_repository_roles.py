"""The tree of roles: two of three, one family for each path, no role by two ways, a ceiling for each listing."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tuf.api.metadata import DelegatedRole, Delegations, Role, Targets

from ota.errors import RefusedError, Rule
from ota.repository import roles
from ota.repository.keys import KeyRole, PublicKey, SigningKey
from ota.repository.verify import DIRECTOR_ONLINE, read_images, read_plan
from ota.targets import SIGNED_AT_KEY
from ota.testing.repository_double import RepositoryDouble

NOW = datetime(2026, 6, 1, tzinfo=UTC)
IMAGE = "rsu/gateway/1.tar"


def three(role: KeyRole) -> list[PublicKey]:
    return [SigningKey.new(role, name).public for name in ("alice", "bob", "carol")]


def refusal(rule: Rule, said: str, call: Any, *words: Any) -> None:
    with pytest.raises(RefusedError, match=said) as refused:
        call(*words)
    assert refused.value.rule is rule


@pytest.fixture
def double() -> RepositoryDouble:
    double = RepositoryDouble()
    double.add_image(IMAGE, b"image", counter=1)
    double.set_plan("rsu-7", {"gateway": IMAGE})
    return double


def test_roles_are_two_of_three_and_end_when_they_should() -> None:
    online = SigningKey.new(KeyRole.ONLINE, "server").public
    root = roles.image_root(three(KeyRole.ROOT), three(KeyRole.TARGETS), online, NOW).signed
    assert {name: (role.threshold, len(role.keyids)) for name, role in root.roles.items()} == {
        "root": (2, 3),
        "targets": (2, 3),
        "snapshot": (1, 1),
        "timestamp": (1, 1),
    }
    assert root.expires - NOW == timedelta(days=365)
    assert root.unrecognized_fields[SIGNED_AT_KEY] == int(NOW.timestamp())
    director = roles.director_root(three(KeyRole.ROOT), online, NOW).signed
    assert [director.roles[name].threshold for name in ("root", "targets", "snapshot", "timestamp")] == [2, 1, 1, 1]
    assert roles.timestamp(1, 1, b"", NOW).signed.expires - NOW == timedelta(days=1)


def test_the_top_targets_only_delegate(double: RepositoryDouble) -> None:
    targets = double.targets.signed
    roles.check_tree(targets, {})
    assert [role.terminating for role in targets.delegations.roles.values()] == [True, True]
    assert targets.delegations.roles["rsu"].paths == ["rsu/*/*"]
    targets.targets[IMAGE] = double.listed()[IMAGE]
    refusal(Rule.ROLE, f"it lists {IMAGE} itself", roles.check_tree, targets, {})


def change_role(double: RepositoryDouble, **values: object) -> Targets:
    role = double.targets.signed.delegations.roles["rsu"]
    for name, value in values.items():
        setattr(role, name, value)
    return double.targets.signed


@pytest.mark.parametrize(
    ("values", "rule", "said"),
    [
        ({"terminating": False}, Rule.ROLE, "the delegation to rsu is not terminating"),
        ({"paths": ["*/*/*"]}, Rule.ROLE, r"rsu speaks for \*/\*/\*; it may for rsu/\*/\* and no other"),
        ({"paths": ["rsu/*/*", "buoy/*/*"]}, Rule.ROLE, "it may for"),
        ({"paths": None, "path_hash_prefixes": ["00"]}, Rule.ROLE, "rsu speaks for hashes"),
        ({"threshold": 1}, Rule.THRESHOLD, "rsu wants 1 signatures; at least 2 are due"),
        ({"threshold": 4}, Rule.THRESHOLD, "it could never speak"),
    ],
)
def test_a_delegation_is_as_ours_are(
    double: RepositoryDouble, values: dict[str, object], rule: Rule, said: str
) -> None:
    refusal(rule, said, roles.check_tree, change_role(double, **values), {})


def test_a_name_has_no_line_break_behind_it() -> None:
    refusal(Rule.ROLE, "a product family's name is", roles.check_family_name, "rsu\n")
    refusal(Rule.KEY, "a holder's name is", SigningKey.new, KeyRole.ROOT, "alice\n")


def test_a_diamond_is_refused(double: RepositoryDouble) -> None:
    """`buoy` may be reached from the top and from `rsu`: what one has verified would be believed for the other."""
    key = double.keys["rsu"][0].public
    buoy = DelegatedRole("buoy", [key.keyid], 1, terminating=True, paths=["buoy/*/*"])
    double.families["rsu"].signed.delegations = Delegations({key.keyid: key.tuf}, {"buoy": buoy})
    families = {name: family.signed for name, family in double.families.items()}
    said = r"rsu\.json: it delegates to buoy: a role that can be reached by two ways"
    refusal(Rule.ROLE, said, roles.check_tree, double.targets.signed, families)
    double.reissue("rsu")
    double.relist()
    refusal(Rule.ROLE, said, read_images, double.files.get, double.now)


def test_a_family_speaks_for_itself_only(double: RepositoryDouble) -> None:
    image = double.listed()[IMAGE]
    for path in ("buoy/mcu/1.set", "rsu/x", "rsu/a/b/c", "rsux/gateway/1.tar"):
        family = Targets(targets={path: image})
        refusal(Rule.ROLE, f"{path} is not one of", roles.check_family, "rsu", family)


def test_a_family_lists_five_hundred_images_and_no_more(double: RepositoryDouble) -> None:
    image = double.listed()[IMAGE]
    family = Targets(targets={f"rsu/gateway/{number}.tar": image for number in range(500)})
    roles.check_family("rsu", family)
    family.targets["rsu/gateway/more.tar"] = image
    refusal(Rule.LENGTH, "501 images; one role has at most 500: remove old ones", roles.check_family, "rsu", family)


def test_a_root_with_one_voice_or_without_consistent_snapshots_is_refused(double: RepositoryDouble) -> None:
    root = double.root.signed
    roles.check_root(root, "root")
    root.roles["targets"] = Role(root.roles["targets"].keyids, 1)
    refusal(Rule.THRESHOLD, "targets wants 1 signatures", roles.check_root, root, "1.root.json")
    root.roles["targets"].threshold = 2
    root.consistent_snapshot = False
    refusal(Rule.FORMAT, "no consistent snapshots", roles.check_root, root, "1.root.json")


def test_neither_root_stands_for_the_other(double: RepositoryDouble) -> None:
    directors, images = double.director_root.signed, double.root.signed
    roles.check_root(directors, "root", online=DIRECTOR_ONLINE)
    refusal(Rule.THRESHOLD, "targets wants 1 signatures", roles.check_root, directors, "1.root.json")
    with pytest.raises(RefusedError, match="it is a root of the image repository, not the Director's") as refused:
        roles.check_root(images, "1.root.json", online=DIRECTOR_ONLINE)
    assert refused.value.rule is Rule.ROLE


def test_what_is_served_is_walked_as_a_device_does(double: RepositoryDouble) -> None:
    read = double.files.get
    images = read_images(read, double.now, double.first_root)
    assert images.listed[IMAGE].hashes["sha256"] == hashlib.sha256(b"image").hexdigest()
    assert read_plan(read, "rsu-7", images, double.now).plan == double.plans["rsu-7"]
    refusal(Rule.EXPIRY, r"timestamp\.json: it expired at 2026-06-02", read_images, read, NOW + timedelta(days=2))
    refusal(Rule.THRESHOLD, "0 of 1 signatures", read_images, read, double.now, RepositoryDouble().first_root)


@pytest.mark.parametrize(
    ("change", "rule", "said"),
    [
        (lambda t: t.targets.clear(), Rule.AGREEMENT, "gateway: the Director and the image repository do not say"),
        (lambda t: t.targets[IMAGE].custom.update(counter=2), Rule.AGREEMENT, "do not say the same"),
        (lambda t: t.unrecognized_fields.clear(), Rule.FORMAT, "Expected `object`"),
        (lambda t: t.unrecognized_fields["wayside"].update(device="rsu-8"), Rule.PLAN, "it is for rsu-8"),
        (lambda t: t.unrecognized_fields["wayside"].update(ecus={}), Rule.FORMAT, "length >= 1"),
        (lambda t: setattr(t, "delegations", Delegations({}, {})), Rule.ROLE, "a plan delegates to nobody"),
    ],
)
def test_who_has_the_directors_key_alone_moves_no_device(
    double: RepositoryDouble, change: Any, rule: Rule, said: str
) -> None:
    images = read_images(double.files.get, double.now)
    double.forge_plan("rsu-7", change, by=double.keys["director"])
    refusal(rule, said, read_plan, double.files.get, "rsu-7", images, double.now)
