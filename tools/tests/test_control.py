"""`wayside command send` and `config push` over a real Mosquitto, to a node whose inbox is the gateway's own."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
import pytest

from edge.identity.development_ca import DevelopmentCa
from edge.identity.operator_keys import OperatorKey
from emulators.broker import BrokerTls, Mosquitto
from protocols.wayside.envelope import parse_envelope
from protocols.wayside.state import Reported, ReportedConfig, encode
from protocols.wayside.topics import down_topic, up_topic
from tools.tests.control_node import CONFIG, NODE, V5, Wayside, config_file, invoke, node_on, until

pytestmark = pytest.mark.hil
ACL = Path(__file__).parents[2] / "edge/deploy/mosquitto.acl"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def key(tmp_path: Path) -> OperatorKey:
    key = OperatorKey.new()
    key.write(tmp_path / "ops-1.key", tmp_path / "ops-1.pub")
    return key


@pytest.fixture
def wayside(broker: Mosquitto, tmp_path: Path, key: OperatorKey) -> Wayside:
    return Wayside(broker.url, tmp_path)


# Commands -----------------------------------------------------------------------------------------------------------


async def test_a_command_is_carried_out_and_its_result_is_shown(
    broker: Mosquitto, tmp_path: Path, key: OperatorKey, wayside: Wayside
) -> None:
    async with node_on(broker, tmp_path, key) as node:
        code, out, talk = await wayside(
            "command", "send", "vms.show", "--device", "vms-7", "--args", '{"n": 1, "x": null}', "--arg", "n=2",
            "--arg", "text=hello=you", "--arg", 'pages=["a"]',
        )  # fmt: skip
        assert (code, out) == (0, 'done\n  shown: 1\n  text: "好"\n'), talk
        assert node.done == [("vms-7", "vms.show", {"n": 2, "x": None, "text": "hello=you", "pages": ["a"]})]
        assert node.heard[0].properties.MessageExpiryInterval in (29, 30)
        assert not node.heard[0].retain
    assert [line.split(": ")[1] for line in talk.splitlines()] == ["accepted", "running"]


async def test_json_out_is_the_result_alone(
    broker: Mosquitto, tmp_path: Path, key: OperatorKey, wayside: Wayside
) -> None:
    async with node_on(broker, tmp_path, key):
        code, out, _ = await wayside("command", "send", "vms.show", "--json")
    result = json.loads(out)
    assert (code, result["state"], result["out"]["shown"]) == (0, "done", 1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("vms.show", "--device", "dead"), "failed: no answer \\x1b[2J"),
        (("vms.show", "--device", "nobody"), "rejected: no device is called nobody"),
        (("gate.open",), "rejected: this operator may not"),
    ],
)
async def test_what_was_not_done_ends_with_1(
    broker: Mosquitto, tmp_path: Path, key: OperatorKey, wayside: Wayside, words: tuple[str, ...], says: str
) -> None:
    async with node_on(broker, tmp_path, key, ops=("vms.*",)):
        code, out, _ = await wayside("command", "send", *words)
    assert code == 1
    assert out.startswith(says)


async def test_a_lost_broker_costs_neither_the_result_nor_a_second_go(
    broker: Mosquitto, tmp_path: Path, key: OperatorKey, wayside: Wayside
) -> None:
    async with node_on(broker, tmp_path, key) as node:
        asking = asyncio.create_task(wayside("command", "send", "test.wait"))
        await until(lambda: bool(node.done))
        await broker.kill()
        node.is_slow.set()
    await broker.start()
    async with node_on(broker, tmp_path, key) as node:
        code, out, talk = await asking
    assert (code, out.splitlines()[0]) == (0, "done"), talk
    assert node.done == []  # asked again, it says again what came of it
    assert talk.count("lost the broker") == 1
    assert talk.count("connected again") == 1


async def test_a_node_that_is_away_ends_with_3(wayside: Wayside) -> None:
    code, out, talk = await wayside("command", "send", "vms.show", "--timeout", "0.7", "--json")
    assert code == 3
    assert json.loads(out)["ok"] is False
    assert "did not answer within 0.7 s" in talk
    assert len(talk.splitlines()) == 1


async def test_a_key_that_the_node_does_not_know_gets_no_answer(
    broker: Mosquitto, tmp_path: Path, wayside: Wayside
) -> None:
    async with node_on(broker, tmp_path, OperatorKey.new()) as node:
        code, _, _ = await wayside("command", "send", "vms.show", "--timeout", "1.5")
        assert (code, node.done, node.inbox.unbelieved) == (3, [], 1)


async def test_a_command_that_is_still_running_says_so(
    broker: Mosquitto, tmp_path: Path, key: OperatorKey, wayside: Wayside
) -> None:
    async with node_on(broker, tmp_path, key) as node:
        code, _, talk = await wayside("command", "send", "test.wait", "--timeout", "1.5")
        assert code == 3
        assert "is running, and its result did not come" in talk
        node.is_slow.set()


async def test_answers_that_are_none_are_passed_over(
    broker: Mosquitto, tmp_path: Path, key: OperatorKey, wayside: Wayside
) -> None:
    async with node_on(broker, tmp_path, key) as node:
        asking = asyncio.create_task(wayside("command", "send", "test.wait"))
        await until(lambda: bool(node.done))
        command = msgspec.json.decode(parse_envelope(node.heard[0].payload).payload)
        for payload in (
            b"",
            b"\xff{",
            b"[]",
            encode(Reported(config=ReportedConfig(version=1, digest="", state="running"))),
        ):
            node.say(f"result/{command['id'].lower()}", payload)
        other = {"v": 1, "id": command["id"].lower(), "state": "done", "time": 1}
        if other["id"] != command["id"]:
            node.say(f"result/{command['id'].lower()}", msgspec.json.encode(other))
        node.say("result/other", b"{}")
        node.is_slow.set()
        code, out, talk = await asking
    assert (code, out.splitlines()[0]) == (0, "done"), talk


async def test_dry_run_sends_nothing_and_shows_what_is_signed(wayside: Wayside, key: OperatorKey) -> None:
    code, out, _ = await wayside("command", "send", "vms.show", "--dry-run", "--json", "--arg", "a=1")
    shown = json.loads(out)
    assert (code, shown["topic"], shown["message"]["args"]) == (0, down_topic(NODE, "command"), {"a": 1})
    envelope = parse_envelope(json.dumps(shown["envelope"]).encode())
    assert envelope.key_id == "ops-1"
    assert msgspec.json.decode(envelope.payload) == shown["message"]


async def test_a_broker_that_is_not_there_ends_with_3(tmp_path: Path, key: OperatorKey) -> None:
    wayside = Wayside("mqtt://127.0.0.1:1", tmp_path)
    for words in (("command", "send", "vms.show"), ("config", "push", str(config_file(tmp_path)), "--version", "1")):
        code, _, talk = await wayside(*words, "--timeout", "0.5")
        assert (code, len(talk.splitlines())) == (3, 1)
        assert "127.0.0.1:1 cannot be reached" in talk


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["Vms show!"], "op"),
        (["vms.show", "--device", "A b"], "device"),
        (["vms.show", "--args", "[1]"], "--args"),
        (["vms.show", "--args", "{"], "--args"),
        (["vms.show", "--arg", "novalue"], "KEY=VALUE"),
        (["vms.show", "--node", "No Node"], "--node"),
        (["vms.show", "--key-id", "a b/c"], "--key-id"),
        (["vms.show", "--signing-key", "/nowhere/ops.key"], "/nowhere/ops.key"),
        (["vms.show", "--signing-key", "PUBLIC"], "private key"),
        (["vms.show", "--broker", "mqtt://broker.example"], "--broker"),
        (["vms.show", "--args", json.dumps({"x": "y" * 140_000})], "longer"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_wrong_usage_ends_with_2_before_anything_is_sent(
    tmp_path: Path, key: OperatorKey, words: list[str], says: str
) -> None:
    given = [word.replace("PUBLIC", str(tmp_path / "ops-1.pub")) for word in words]
    common = {"--broker": "mqtt://127.0.0.1:1", "--node": NODE, "--signing-key": str(tmp_path / "ops-1.key")}
    options = [text for name, value in common.items() if name not in given for text in (name, value)]
    result = invoke("command", "send", *given, *options, "--json")
    assert result.exit_code == 2
    assert says in json.loads(result.stdout)["reason"]


def test_an_encrypted_key_needs_its_passphrase(tmp_path: Path) -> None:
    OperatorKey.new().write(tmp_path / "ops-2.key", tmp_path / "ops-2.pub", b"correct horse")
    words = ["command", "send", "vms.show", "--broker", "mqtt://127.0.0.1", "--node", NODE, "--dry-run",
             "--signing-key", str(tmp_path / "ops-2.key")]  # fmt: skip
    assert invoke(*words).exit_code == 2
    assert invoke(*words, env={"WAYSIDE_KEY_PASSPHRASE": "wrong horse"}).exit_code == 2
    result = invoke(*words, env={"WAYSIDE_KEY_PASSPHRASE": "correct horse"})
    assert (result.exit_code, "correct horse" in result.output) == (0, False)


async def test_with_mutual_tls_and_the_shipped_list_both_verbs_do_their_work(tmp_path: Path, key: OperatorKey) -> None:
    now = datetime.now(UTC)
    ca = DevelopmentCa.create(tmp_path / "pki", now=now)
    server, us, them = (
        ca.issue_server("broker", now=now), ca.issue_client("control", now=now), ca.issue_client(NODE, now=now),
    )  # fmt: skip
    tls = BrokerTls(ca=ca.ca, cert=server.cert, key=server.key)
    options = ("--ca", str(ca.ca), "--cert", str(us.cert), "--key", str(us.key))
    theirs = aiomqtt.TLSParameters(ca_certs=str(ca.ca), certfile=str(them.cert), keyfile=str(them.key))
    async with (
        Mosquitto(tmp_path / "tls", tls=tls, acl=ACL) as broker,
        node_on(broker, tmp_path, key, tls_params=theirs) as node,
    ):
        wayside = Wayside(broker.url, tmp_path, *options)
        assert (await wayside("command", "send", "vms.show"))[0] == 0
        node.report(ReportedConfig(version=7, digest="sha256:00", state="running"))
        code, out, talk = await wayside("config", "push", str(config_file(tmp_path)))
        assert (code, out) == (0, "running\n"), talk
        stranger = Wayside(broker.url, tmp_path)
        code, _, talk = await stranger("command", "send", "vms.show", "--ca", "/etc/ssl/certs/ca-certificates.crt")
        assert code in (2, 3), talk


async def test_a_configuration_goes_out_as_the_next_version_and_stays_at_the_broker(
    broker: Mosquitto, tmp_path: Path, key: OperatorKey, wayside: Wayside
) -> None:
    async with node_on(broker, tmp_path, key) as node:
        node.report(ReportedConfig(version=77, digest="sha256:00", state="refused", reason="old"))
        code, out, talk = await wayside("config", "push", str(config_file(tmp_path)), "--json")
        assert (code, json.loads(out)["state"], json.loads(out)["version"]) == (0, "running", 78), talk
        assert (node.desired[0].version, node.desired[0].document) == (78, CONFIG)
    async with node_on(broker, tmp_path, key) as node:
        await until(lambda: bool(node.desired))  # retained


@pytest.mark.parametrize("state", ["refused", "rolled-back"])
async def test_a_configuration_that_does_not_run_ends_with_1(
    broker: Mosquitto, tmp_path: Path, key: OperatorKey, wayside: Wayside, state: Any
) -> None:
    async with node_on(broker, tmp_path, key) as node:
        node.verdict = lambda desired, _digest: ReportedConfig(
            version=desired.version, digest="sha256:00", state=state, reason="no room"
        )
        code, out, _ = await wayside("config", "push", str(config_file(tmp_path)), "--version", "5")
    assert (code, out) == (1, f"{state}: no room\n")


async def test_another_push_of_the_same_number_is_not_taken_for_ours(
    broker: Mosquitto, tmp_path: Path, key: OperatorKey, wayside: Wayside
) -> None:
    async with node_on(broker, tmp_path, key) as node:
        node.verdict = lambda desired, _digest: ReportedConfig(
            version=desired.version, digest="sha256:00", state="running"
        )
        code, out, _ = await wayside("config", "push", str(config_file(tmp_path)), "--version", "5")
    assert (code, "another configuration" in out) == (1, True)


async def test_no_wait_leaves_it_with_the_broker(
    broker: Mosquitto, tmp_path: Path, key: OperatorKey, wayside: Wayside
) -> None:
    code, _, talk = await wayside("config", "push", str(config_file(tmp_path)), "--version", "3", "--no-wait")
    assert code == 0, talk
    async with node_on(broker, tmp_path, key) as node:
        await until(lambda: [desired.version for desired in node.desired] == [3])


async def test_a_node_that_never_reported_needs_a_version(tmp_path: Path, wayside: Wayside) -> None:
    code, _, talk = await wayside("config", "push", str(config_file(tmp_path)))
    assert (code, "--version" in talk) == (3, True)


async def test_a_push_dry_run_publishes_nothing(
    broker: Mosquitto, tmp_path: Path, key: OperatorKey, wayside: Wayside
) -> None:
    async with node_on(broker, tmp_path, key) as node:
        node.report(ReportedConfig(version=7, digest="sha256:00", state="running"))
        code, out, _ = await wayside("config", "push", str(config_file(tmp_path)), "--dry-run", "--json")
        assert (code, json.loads(out)["version"]) == (0, 8)
        assert node.heard == []


def test_a_wrong_configuration_is_refused_here_with_the_lines_of_check(tmp_path: Path, key: OperatorKey) -> None:
    file = config_file(tmp_path, CONFIG.replace("acknowledged_by", "acknowleged_by"))
    common = ["--broker", "mqtt://127.0.0.1:1", "--node", NODE, "--signing-key", str(tmp_path / "ops-1.key")]
    pushed, checked = invoke("config", "push", str(file), *common), invoke("check", str(file))
    assert (pushed.exit_code, pushed.stdout) == (2, checked.stdout)
    assert f"{file}:" in pushed.stdout
    assert len(json.loads(invoke("config", "push", str(file), *common, "--json").stdout)["problems"]) >= 1


@pytest.mark.parametrize(
    ("text", "says"),
    [(CONFIG.replace(NODE, "other"), "other"), (CONFIG + "#" * 50_000, "bytes long")],
    ids=["of another node", "too long"],
)
def test_what_may_not_travel_is_refused_here(tmp_path: Path, key: OperatorKey, text: str, says: str) -> None:
    common = ["--broker", "mqtt://127.0.0.1:1", "--node", NODE, "--signing-key", str(tmp_path / "ops-1.key")]
    result = invoke("config", "push", str(config_file(tmp_path, text)), *common)
    assert (result.exit_code, says in result.stderr) == (2, True)
    assert invoke("config", "push", str(tmp_path / "none.toml"), *common).exit_code == 2


# The gateway itself -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def gateway(config: Path) -> AsyncIterator[None]:
    """The daemon as its own process."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "edge", str(config), stderr=subprocess.DEVNULL)
    try:
        yield
        assert process.returncode is None
        process.terminate()
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_running_gateway_is_told_and_answers(
    broker: Mosquitto, tmp_path: Path, key: OperatorKey, wayside: Wayside
) -> None:
    text = CONFIG.replace("mqtt://localhost:1883", broker.url).replace('"ingest"', '"broker"')
    text += '[[commands.operator]]\nname = "ops-1"\nkey = "ops-1.pub"\nops = ["node.status", "config.push"]\n'
    file = tmp_path / "node.toml"
    file.write_text(text, "utf-8")
    async with gateway(file):
        async with aiomqtt.Client(broker.host, broker.port, protocol=V5) as client:
            await client.subscribe(up_topic(NODE, "reported"))
            async with asyncio.timeout(20):
                await anext(aiter(client.messages))
        code, out, talk = await wayside("command", "send", "node.status", "--json")
        answer = json.loads(out)
        # A box that does not know the time says so and does nothing: then that is the answer.
        assert (code, answer["state"]) in [(0, "done"), (1, "rejected")], talk
        assert code == 0 or "what time it is" in answer["reason"]

        code, out, talk = await wayside("config", "push", str(file), "--json")
        assert (code, json.loads(out)["version"]) == (0, 1), (out, talk)
        moved = config_file(tmp_path, text.replace('"var"', '"elsewhere"'))
        code, out, talk = await wayside("config", "push", str(moved), "--json")
        assert (code, json.loads(out)["state"], json.loads(out)["version"]) == (1, "refused", 2), talk
