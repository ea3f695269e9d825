"""An assignment as names of the image repository, and what a verified plan must be to follow it."""

import json
from typing import Any

import pytest

from ota.errors import RefusedError, Rule
from ota.hawkbit.assignment import Assignment
from ota.hawkbit.mapping import TARGET_KEY, Module, Wanted, wanted_of, why_not
from ota.hawkbit.resources import decode_deployment
from ota.targets import Blob, EcuPlan, ImageInfo, Plan, Target
from ota.tests.hawkbit_exchanges import SHA256, deployment, module

MODULES = {"main": Module("gateway", "rsu/gateway"), "lamp-1": Module("lamp", "buoy/lamp")}
BLOB = Blob(codec="none", length=20_480, sha256="b" * 64, blocks="c" * 64)


def assigned(*chunks: dict[str, Any]) -> Assignment:
    document = deployment()
    document["deployment"]["chunks"] = list(chunks)
    return decode_deployment(json.dumps(document).encode(), "7")


def wanted(*chunks: dict[str, Any]) -> dict[str, Wanted]:
    return wanted_of(assigned(*chunks), MODULES)


def target(path: str, *, version: str = "1.4.2", sha256: str = SHA256, length: int = 20_480) -> Target:
    family = "/".join(path.split("/")[:2])
    info = ImageInfo(kind="release-dir", hardware=["rsu-a"], family=family, version=version, counter=5, full=[BLOB])
    return Target(path=path, length=length, sha256=sha256, info=info)


def test_an_image_is_named_by_the_artifact_or_by_the_modules_metadata() -> None:
    named = module("lamp", "2.0", "cover-letter.txt", {TARGET_KEY: "buoy/lamp/2.0.tar", "other": "x"})
    found = wanted(module(), named)
    assert {ecu: want.target for ecu, want in found.items()} == {
        "main": "rsu/gateway/1.4.2.tar",
        "lamp-1": "buoy/lamp/2.0.tar",
    }
    assert found["main"].artifact is not None
    assert found["lamp-1"].artifact is None, "the file in hawkBit is no image, and nothing is compared with it"


@pytest.mark.parametrize(
    ("chunks", "rule", "text"),
    [
        ([], Rule.ECU, "action 7: it has no software module"),
        ([module("radio")], Rule.ECU, "no ECU here is configured for this software module"),
        ([module(), module()], Rule.ECU, "main is to run two images"),
        ([{**module(), "artifacts": []}], Rule.FORMAT, "0 artifacts"),
        ([{**module(), "artifacts": module()["artifacts"] * 2}], Rule.FORMAT, "2 artifacts"),
        ([{**module(), "encrypted": True}], Rule.FORMAT, "it is encrypted by hawkBit"),
        ([module(filename="../../etc/passwd")], Rule.FORMAT, "is no name of an image"),
        ([module(filename="a\nb")], Rule.FORMAT, "'rsu/gateway/a?b' is no name of an image"),
        ([module(metadata={TARGET_KEY: "/etc/passwd"})], Rule.FORMAT, "is no name of an image"),
        ([module(metadata={TARGET_KEY: "buoy/lamp/2.0.tar"})], Rule.HARDWARE, "is not below rsu/gateway"),
    ],
)
def test_what_names_no_image_of_ours_is_refused(chunks: list[dict[str, Any]], rule: Rule, text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        wanted(*chunks)
    assert caught.value.rule is rule
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


NAME = "rsu/gateway/1.4.2.tar"
PLAN = Plan(device="rsu-7f3a", number=3, ecus={"main": EcuPlan(target=NAME)})


def test_a_plan_that_is_what_was_assigned_may_be_followed() -> None:
    image = target(NAME)
    assert why_not(assigned(module()), wanted(module()), PLAN, {"main": image}) == ""
    unsaid = {**module(), "artifacts": [{"filename": "1.4.2.tar"}]}
    assert why_not(assigned(unsaid), wanted(unsaid), PLAN, {"main": image}) == ""


@pytest.mark.parametrize(
    ("chunk", "image", "text"),
    [
        (
            module(filename="1.5.tar"),
            target(NAME),
            "wants rsu/gateway/1.5.tar for main; plan 3 names rsu",
        ),
        (module("lamp"), target(NAME), "for lamp-1; plan 3 names nothing"),
        (
            module(version="1.5"),
            target(NAME),
            "version 1.5; it is signed as 1.4.2",
        ),
        (module(), target(NAME, sha256="e" * 64), "has another file"),
        (module(), target(NAME, length=20_481), "has 20480 bytes as"),
    ],
)
def test_a_plan_that_is_another_one_waits(chunk: dict[str, Any], image: Target, text: str) -> None:
    assert text in why_not(assigned(chunk), wanted(chunk), PLAN, {"main": image})


def test_without_an_assignment_no_plan_is_followed() -> None:
    assert why_not(None, {}, PLAN, {}) == "hawkBit has assigned nothing"
