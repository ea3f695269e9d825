"""The Director: signed when asked, every ECU, rising numbers, the image repository's own words."""

from datetime import timedelta

import pytest
from tuf.api.metadata import Metadata, Targets

from ota.errors import RefusedError, Rule
from ota.repository.director import ONLINE, Director, check_follows, check_hardware, sign_plan
from ota.repository.keys import KeyRole
from ota.repository.planning import next_plan
from ota.targets import PLAN_KEY, EcuPlan, Plan, decode_plan
from ota.testing.repository_double import RepositoryDouble

ONE, TWO = "rsu/gateway/1.tar", "rsu/gateway/2.tar"


@pytest.fixture
def double() -> RepositoryDouble:
    double = RepositoryDouble()
    double.add_image(ONE, b"one", counter=1)
    double.add_image(TWO, b"two", counter=2, hardware=["rsu-x86"])
    return double


def plan(number: int = 1, **ecus: str) -> Plan:
    return Plan(device="rsu-7", number=number, ecus={name: EcuPlan(target=path) for name, path in ecus.items()})


def targets_of(files: dict[str, bytes]) -> Targets:
    (name,) = [name for name in files if name.endswith(".targets.json")]
    metadata: Metadata[Targets] = Metadata.from_bytes(files[name])
    return metadata.signed


def test_what_a_person_does_not_say_stays_as_it_was() -> None:
    ecus = {"gateway": EcuPlan(target=ONE, group=1), "lamp": EcuPlan(target=ONE, group=2)}
    last = Plan(device="rsu-7", number=4, ecus=ecus, policy="best-effort")
    made = next_plan("rsu-7", {"lamp": TWO}, last)
    assert (made.number, made.policy) == (5, "best-effort")
    assert made.ecus == {**ecus, "lamp": EcuPlan(target=TWO, group=2)}


def test_a_plan_lists_every_ecu_and_each_image_once(double: RepositoryDouble) -> None:
    wanted = plan(gateway=TWO, lamp=ONE, spare=ONE)
    signed = sign_plan(wanted, double.listed(), double.keys["director"][0], version=3, now=double.now)
    targets = targets_of(signed.files)
    assert decode_plan(targets.unrecognized_fields[PLAN_KEY], "plan") == wanted
    assert targets.targets == {path: double.listed()[path] for path in (ONE, TWO)}
    assert list(signed.files) == ["3.targets.json", "3.snapshot.json", "timestamp.json"]
    assert targets.delegations is None
    assert signed.expires == double.now + ONLINE


def test_the_offline_variant_says_the_same_for_longer(double: RepositoryDouble) -> None:
    signed = sign_plan(
        plan(gateway=ONE),
        double.listed(),
        double.keys["director"][0],
        version=1,
        now=double.now,
        holds=timedelta(days=90),
    )
    assert [Metadata.from_bytes(data).signed.expires for data in signed.files.values()] == [
        double.now + timedelta(days=90)
    ] * 3


def test_an_answer_is_kept_until_half_of_its_life_is_over(double: RepositoryDouble) -> None:
    double.set_plan("rsu-7", {"gateway": ONE})
    first = double.director.answer("rsu-7")
    assert double.director.answer("rsu-7") is first
    double.now += timedelta(hours=13)
    second = double.director.answer("rsu-7")
    assert (second.plan, second.version) == (first.plan, first.version + 1)
    double.set_plan("rsu-7", {"gateway": TWO})
    assert double.director.answer("rsu-7").plan.number == 2
    with pytest.raises(RefusedError, match="there is no plan for this device"):
        double.director.answer("rsu-8")


def test_it_goes_on_above_the_version_that_a_device_has_seen(double: RepositoryDouble) -> None:
    director = Director(double.keys["director"][0], double.listed, lambda: double.now)
    director.set_plan(plan(gateway=ONE), version=41)
    assert director.answer("rsu-7").version == 42
    director.set_plan(plan(2, gateway=TWO))
    assert director.answer("rsu-7").version == 43


def test_it_keeps_so_many_answers_and_no_more(double: RepositoryDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ota.repository.director.MAX_ANSWERS", 2)
    director = Director(double.keys["director"][0], double.listed, lambda: double.now)
    for device in ("rsu-1", "rsu-2", "rsu-3"):
        director.set_plan(Plan(device=device, number=1, ecus={"gateway": EcuPlan(target=ONE)}))
        director.answer(device)
    assert list(director._answers) == ["rsu-2", "rsu-3"]
    assert director.answer("rsu-1").version == 2


@pytest.mark.parametrize(
    ("wanted", "rule", "said"),
    [
        (plan(1, gateway=TWO, lamp=ONE), Rule.PLAN, "has the number 2; a new one has a higher"),
        (plan(2, gateway=TWO, lamp=ONE), Rule.PLAN, "has the number 2; a new one has a higher"),
        (plan(3, gateway=TWO), Rule.ECU, "it says nothing of lamp"),
    ],
)
def test_a_plan_follows_the_one_before(wanted: Plan, rule: Rule, said: str) -> None:
    last = plan(2, gateway=ONE, lamp=ONE)
    check_follows(last, last)
    check_follows(plan(9, gateway=ONE, lamp=TWO, more=ONE), last)
    with pytest.raises(RefusedError, match=said) as refused:
        check_follows(wanted, last)
    assert refused.value.rule is rule


def test_an_image_is_for_the_hardware_that_it_names(double: RepositoryDouble) -> None:
    check_hardware(plan(gateway=ONE), double.listed(), {"gateway": "rsu-arm64"})
    with pytest.raises(RefusedError, match=r"gateway is rsu-arm64; rsu/gateway/2\.tar is for rsu-x86") as refused:
        check_hardware(plan(gateway=TWO), double.listed(), {"gateway": "rsu-arm64"})
    assert refused.value.rule is Rule.HARDWARE
    with pytest.raises(RefusedError, match="the device has gateway, lamp"):
        check_hardware(plan(gateway=ONE), double.listed(), {"gateway": "rsu-arm64", "lamp": "x"})


def test_what_the_image_repository_does_not_list_is_not_planned(double: RepositoryDouble) -> None:
    double.set_plan("rsu-7", {"gateway": ONE})
    with pytest.raises(RefusedError, match=r"the image repository has no rsu/gateway/3\.tar"):
        double.set_plan("rsu-7", {"gateway": "rsu/gateway/3.tar"})
    assert double.director.answer("rsu-7").plan.number == 1


def test_its_key_has_its_own_role(double: RepositoryDouble) -> None:
    assert double.keys["director"][0].public.role is KeyRole.DIRECTOR
    assert double.director_root.signed.roles["targets"].keyids == [double.keys["director"][0].public.keyid]
