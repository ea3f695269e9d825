"""Rollouts end to end: real update agents at a real broker, a real engine and Director, people with their own keys."""

import asyncio
import signal
from pathlib import Path

import pytest

from emulators.broker import find_mosquitto
from hil_tests.rollout_site import rollout_site
from ota.campaign.store.campaigns import Kept

pytest.importorskip("detools", reason="detools is not installed: releases cannot be built")
pytestmark = [
    pytest.mark.hil,
    pytest.mark.skipif(find_mosquitto() is None, reason="Mosquitto is not installed (apt-get install mosquitto)"),
]
BAD = "bus"
MODELS = {"cabinet": 90, "lane": 60, BAD: 50}


def is_well(model: str, version: str) -> bool:
    """The new release cannot reach its broker on one model."""
    return not (model == BAD and version == "1.2")


def has_ended(kept: Kept) -> bool:
    """It does not go on by itself."""
    return kept.state in ("halted", "finished", "paused")


async def test_a_release_that_one_model_cannot_run_is_halted_and_that_model_sent_back(tmp_path: Path):
    async with rollout_site(tmp_path) as site:
        await site.fill(MODELS, is_well=is_well)
        site.live()
        await site.begin()
        await site.until(has_ended, within_s=240)
        standing = await site.standing()
        assert standing["state"] == "halted"
        assert standing["sent_back"] == [BAD], "that model and no other"
        assert "bus: " in standing["reason"]
        assert "health" in standing["reason"]
        harmed = [one for one in standing["troubles"] if one["rule"] == "health"]
        assert harmed
        assert {one["model"] for one in harmed} == {BAD}
        assert all("the uplink is away" in one["reason"] for one in harmed)
        async with asyncio.timeout(120):
            while not await asyncio.to_thread(site.is_quiet):
                await asyncio.sleep(0.5)
        assert {one.runs() for one in site.devices if one.model == BAD} == {"1.1"}
        for one in site.devices:
            plans = [plan for _id, plan in one.commands]
            assert len(plans) == len(set(plans)), "no plan was told twice"
            assert len(plans) <= 2, "there, and back"
        innocent = [one for one in site.devices if one.model != BAD and len(one.commands) == 1]
        assert innocent
        assert {one.runs() for one in innocent} == {"1.2"}, "who had it already keeps it"
        history = await site.wayside("ota", "campaign", "history", "gateway-1.2")
        assert history["ok"]
        assert [entry["what"] for entry in history["entries"]][:3] == ["new", "approve", "begun"]
        assert "halt-and-revert" in [entry["what"] for entry in history["entries"]]


async def test_a_broker_and_an_engine_that_die_in_the_middle_delay_and_do_nothing_else(tmp_path: Path):
    async with rollout_site(tmp_path) as site:
        await site.fill({"cabinet": 16, "lane": 8}, is_well=lambda _model, _version: True, poll_s=4.0)
        site.live()
        await site.begin()
        while not any(one.commands for one in site.devices):
            await asyncio.sleep(0.05)
        await site.broker.stop()
        await asyncio.sleep(2)
        await site.engine.end(signal.SIGKILL)
        await site.broker.start()
        await site.serve(port=site.port)
        await site.until(lambda kept: kept.stage == 1 or has_ended(kept), within_s=120)
        await site.engine.end(signal.SIGKILL)
        await site.serve(port=site.port)
        await site.until(has_ended, within_s=120)
        standing = await site.standing()
        assert (standing["state"], standing["troubles"]) == ("finished", [])
        assert {one.runs() for one in site.devices} == {"1.2"}
        assert {len(one.commands) for one in site.devices} <= {0, 1}, "nobody did anything twice"
        history = await site.wayside("ota", "campaign", "history", "gateway-1.2")
        assert history["ok"]
        told = [name for entry in history["entries"] if entry["what"] == "told" for name in entry["facts"]["plans"]]
        assert sorted(told) == sorted(one.name for one in site.devices)
