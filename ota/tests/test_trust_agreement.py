"""What a device takes for true of a plan, and each thing that makes it refuse one. Refused: nothing is remembered."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ota.errors import RefusedError, Rule
from ota.repository.layout import DIRECTOR
from ota.targets import PLAN_KEY, Schema
from ota.testing.disk_double import DiskDouble
from ota.testing.repository_double import RepositoryDouble
from ota.testing.trusting_device import GATEWAY, TrustingDevice
from ota.trust.agreement import MAX_PLAN_STEP, EcuKind, check_no_diamond

V1, V2, V3 = (f"rsu/gateway/{number}.tar" for number in (1, 2, 3))
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def double() -> RepositoryDouble:
    double = RepositoryDouble(now=NOW)
    double.add_image(V1, b"one", counter=1)
    double.add_image(V2, b"two", counter=2, min_counter=2, schema=Schema(reads_from=1, writes=3))
    double.set_plan("rsu-7", {"gateway": V1})
    return double


def refused(device: TrustingDevice, rule: Rule, word: str, **more: Any) -> None:
    """It refuses, by the rule, with the word, in one line; floors and the Director's cache stay."""
    before = kept(device.disk)
    with pytest.raises(RefusedError, match=word) as caught:
        device.refresh(**more)
    assert caught.value.rule is rule, caught.value
    assert "\n" not in str(caught.value)
    assert kept(device.disk) == before


def kept(disk: Any) -> dict[str, bytes]:
    assert isinstance(disk, DiskDouble)
    names = ("trust/floors", "trust/director/")
    return {name: data for name, data in disk.contents().items() if name.startswith(names) and data} | {
        "trust/director/root.json": b""
    }


def test_a_plan_is_taken_with_its_image(double: RepositoryDouble) -> None:
    verified = TrustingDevice(double).refresh()
    assert (verified.plan.number, verified.plan.device) == (1, "rsu-7")
    target = verified.targets["gateway"]
    assert (target.path, target.length, target.info.counter) == (V1, 3, 1)
    assert not verified.now.remark
    assert not verified.damaged


def test_the_same_plan_may_come_again(double: RepositoryDouble) -> None:
    device = TrustingDevice(double)
    first = device.refresh()
    double.sign_plan("rsu-7")
    assert device.refresh() == first


def test_a_plan_of_another_device_is_refused_and_its_metadata_not_remembered(double: RepositoryDouble) -> None:
    device = TrustingDevice(double)
    device.refresh()
    for _ in range(20):
        double.set_plan("rsu-8", {"gateway": V2})
    own = {name: data for name, data in double.files.items() if name.startswith(f"{DIRECTOR}/rsu-7/")}
    for name in list(own):
        del double.files[name]
    for name, data in list(double.files.items()):
        if name.startswith(f"{DIRECTOR}/rsu-8/"):
            double.files[name.replace("rsu-8", "rsu-7")] = data
    refused(device, Rule.PLAN, "it is for rsu-8; this is rsu-7")
    double.files.update(own)
    assert device.refresh().plan.number == 1


def test_a_plan_without_an_ecu_is_refused(double: RepositoryDouble) -> None:
    device = TrustingDevice(double, ecus={"gateway": GATEWAY, "lamp": EcuKind("lamp-1", "rsu/lamp")})
    refused(device, Rule.ECU, "leaves out lamp")


def test_a_plan_with_an_unknown_ecu_is_refused(double: RepositoryDouble) -> None:
    double.set_plan("rsu-7", {"gateway": V1, "toaster": V1})
    refused(TrustingDevice(double), Rule.ECU, "names toaster")


def test_an_empty_plan_is_refused_even_when_its_metadata_is_newer(double: RepositoryDouble) -> None:
    device = TrustingDevice(double)
    device.refresh()

    def empty(targets: Any) -> None:
        targets.targets.clear()
        targets.unrecognized_fields[PLAN_KEY]["ecus"] = {}

    double.forge_plan("rsu-7", empty, by=double.keys["director"])
    refused(device, Rule.FORMAT, "ecus")


def test_metadata_of_the_director_without_a_plan_is_refused(double: RepositoryDouble) -> None:
    double.forge_plan("rsu-7", lambda targets: targets.unrecognized_fields.pop(PLAN_KEY), by=double.keys["director"])
    refused(TrustingDevice(double), Rule.FORMAT, PLAN_KEY)


def test_a_plan_number_never_falls(double: RepositoryDouble) -> None:
    device = TrustingDevice(double)
    double.set_plan("rsu-7", {"gateway": V1})
    device.refresh()
    double.forge_plan("rsu-7", set_plan(number=1), by=double.keys["director"])
    refused(device, Rule.PLAN, "plan 2 was here before it")


def test_a_plan_number_rises_by_steps_so_that_there_is_always_a_higher_one(double: RepositoryDouble) -> None:
    """Else who has the Director's key for an hour says the last number that there is, and no plan can follow it."""
    device = TrustingDevice(double)
    double.forge_plan("rsu-7", set_plan(number=MAX_PLAN_STEP + 1), by=double.keys["director"])
    refused(device, Rule.PLAN, r"plan 4294967297: it is more than 4,294,967,296 above the last one, 0")
    double.forge_plan("rsu-7", set_plan(number=MAX_PLAN_STEP), by=double.keys["director"])
    assert device.refresh().plan.number == MAX_PLAN_STEP


@pytest.mark.parametrize("sha256", ["../../x", "E" * 64, "0" * 64 + "\n", 7])
def test_an_image_hash_is_one(double: RepositoryDouble, sha256: object) -> None:
    """Files on the device are called by it."""

    def change(targets: Any) -> None:
        targets.targets[V1].hashes = {"sha256": sha256}

    double.forge("rsu", change, by=double.keys["rsu"])
    double.relist()
    double.forge_plan("rsu-7", change, by=double.keys["director"])
    refused(TrustingDevice(double), Rule.FORMAT, "sha256" if isinstance(sha256, str) else "deserialize")


def test_the_top_listing_only_delegates(double: RepositoryDouble) -> None:
    """The same people may sign it and a family's: an old listing of the family must not come back as the top one."""
    image = double.listed()[V1]
    double.forge("targets", lambda targets: targets.targets.update({V1: image}), by=double.keys["targets"])
    double.relist()
    refused(TrustingDevice(double), Rule.ROLE, "targets.json: it lists rsu/gateway/1.tar itself; it only delegates")


@pytest.mark.parametrize("side", ["director_root", "image_root"])
def test_a_device_is_not_built_with_one_root_for_the_other(double: RepositoryDouble, side: str) -> None:
    device = TrustingDevice(double)
    device.trusted[side] = device.trusted["image_root" if side == "director_root" else "director_root"]
    refused(device, Rule.ROLE, "built-in root: it is a root of ")


def test_a_plan_number_stands_for_one_plan(double: RepositoryDouble) -> None:
    device = TrustingDevice(double)
    device.refresh()
    double.forge_plan("rsu-7", set_plan(policy="best-effort"), by=double.keys["director"])
    refused(device, Rule.PLAN, "said something else")


def test_a_plan_number_stands_for_one_set_of_images(double: RepositoryDouble) -> None:
    device = TrustingDevice(double)
    device.refresh()

    def longer(targets: Any) -> None:
        targets.targets[V1].length += 1

    double.forge_plan("rsu-7", longer, by=double.keys["director"])
    refused(device, Rule.PLAN, "said something else")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda target: setattr(target, "length", 4), "length"),
        (lambda target: target.hashes.update(sha256="0" * 64), "hashes"),
        (lambda target: target.unrecognized_fields["custom"].update(counter=9), "custom"),
        (lambda target: target.unrecognized_fields["custom"].update(unknown_to_us=1), "custom"),
        (lambda target: target.unrecognized_fields["custom"]["full"][0].update(sha256="0" * 64), "custom"),
        (lambda target: target.unrecognized_fields.clear(), "custom"),
    ],
)
def test_what_the_director_alone_says_of_an_image_is_refused(
    double: RepositoryDouble, change: Callable[[Any], None], word: str
) -> None:
    double.forge_plan("rsu-7", lambda targets: change(targets.targets[V1]), by=double.keys["director"])
    refused(TrustingDevice(double), Rule.AGREEMENT, f"{V1}: Director and image repository differ in its {word}")


def test_an_image_that_only_the_director_lists_is_refused(double: RepositoryDouble) -> None:
    device = TrustingDevice(double)
    double.families["rsu"].signed.targets.pop(V1)
    double.reissue("rsu")
    double.relist()
    refused(device, Rule.AGREEMENT, "image repository does not list it")


def test_an_image_that_the_director_does_not_list_is_refused(double: RepositoryDouble) -> None:
    double.forge_plan("rsu-7", lambda targets: targets.targets.clear(), by=double.keys["director"])
    refused(TrustingDevice(double), Rule.AGREEMENT, "lists it not")


def test_a_director_that_delegates_is_refused(double: RepositoryDouble) -> None:
    delegations = double.targets.signed.delegations
    double.forge_plan("rsu-7", lambda targets: setattr(targets, "delegations", delegations), by=double.keys["director"])
    refused(TrustingDevice(double), Rule.ROLE, "delegates")


def test_an_image_for_other_hardware_is_refused(double: RepositoryDouble) -> None:
    device = TrustingDevice(double, ecus={"gateway": EcuKind("rsu-x86", "rsu/gateway")})
    refused(device, Rule.HARDWARE, "gateway is rsu-x86")


def test_an_image_of_another_family_is_refused_whatever_hardware_it_claims(double: RepositoryDouble) -> None:
    double.add_image("buoy/node/1.tar", b"b", counter=9, hardware=["rsu-arm64"])
    double.set_plan("rsu-7", {"gateway": "buoy/node/1.tar"})
    refused(TrustingDevice(double), Rule.HARDWARE, "gateway takes rsu/gateway")


def test_an_image_that_claims_a_family_that_its_place_is_not_in_is_refused(double: RepositoryDouble) -> None:
    double.add_image("buoy/node/1.tar", b"b", counter=9, hardware=["rsu-arm64"], family="rsu/gateway")
    double.set_plan("rsu-7", {"gateway": "buoy/node/1.tar"})
    refused(TrustingDevice(double), Rule.ROLE, "not below its family")


def test_a_release_counter_below_the_confirmed_floor_is_refused(double: RepositoryDouble) -> None:
    device = TrustingDevice(double)
    double.set_plan("rsu-7", {"gateway": V2})
    info = device.refresh().targets["gateway"].info
    double.set_plan("rsu-7", {"gateway": V1})
    device.refresh()  # not confirmed yet: an ordinary rollback
    device.client().floors.confirm("rsu-arm64", info)
    double.set_plan("rsu-7", {"gateway": V1})
    refused(device, Rule.FLOOR, "release counter 1 is below 2")


def test_an_image_that_cannot_read_the_data_on_the_device_is_refused(double: RepositoryDouble) -> None:
    device = TrustingDevice(double)
    double.add_image(V3, b"three", counter=3, schema=Schema(reads_from=0, writes=2))
    double.set_plan("rsu-7", {"gateway": V2})
    device.client().floors.confirm("rsu-arm64", device.refresh().targets["gateway"].info)
    double.set_plan("rsu-7", {"gateway": V3})
    refused(device, Rule.FLOOR, "editions 0 to 2; edition 3 is here")


def test_a_quarantined_image_waits_for_a_higher_plan_number(double: RepositoryDouble) -> None:
    device = TrustingDevice(double)
    sha256 = device.refresh().targets["gateway"].sha256
    refused(device, Rule.QUARANTINE, "has failed here", quarantined={sha256: 1})
    double.set_plan("rsu-7", {"gateway": V1})
    assert device.refresh(quarantined={sha256: 1}).plan.number == 2


def test_a_role_with_two_delegators_is_refused() -> None:
    check_no_diamond({"targets": ["rsu", "buoy"], "rsu": ["rsu-old"]})
    with pytest.raises(RefusedError, match=r"both targets and buoy delegate") as caught:
        check_no_diamond({"targets": ["rsu", "buoy"], "buoy": ["rsu"]})
    assert caught.value.rule is Rule.ROLE


def set_plan(**fields: Any) -> Callable[[Any], None]:
    """A change of a plan's own fields."""
    return lambda targets: targets.unrecognized_fields[PLAN_KEY].update(fields)
