"""`wayside command send OP`: sign a command, send it, wait for what came of it."""

import secrets
import time
from typing import Annotated, Any

import aiomqtt
import msgspec
import typer

from drivers.text import _
from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.wayside.envelope import MAX_LIFE_S, Command, build_envelope
from protocols.wayside.state import Result, decode
from protocols.wayside.topics import down_topic, result_route, up_topic
from tools import control
from tools.output import Exit, fail, print_json, print_line, say, visible

GRACE_S = 10.0
"""A command may start at the very end of its life; its result then takes this long by default."""

app = typer.Typer(no_args_is_help=True)


@app.callback()
def command() -> None:
    """Have a node do something."""


@app.command()
def send(
    op: Annotated[str, typer.Argument(metavar="OP", help=_("what to do, such as modbus.write or node.status"))],
    broker: control.BrokerOption,
    node: control.NodeOption,
    signing_key: control.SigningKeyOption,
    key_id: control.KeyIdOption = None,
    ca: control.CaOption = None,
    cert: control.CertOption = None,
    key: control.KeyOption = None,
    device: Annotated[str | None, typer.Option("--device", metavar="NAME", help=_("on which device"))] = None,
    arg: Annotated[
        list[str] | None, typer.Option("--arg", metavar="KEY=VALUE", help=_("an argument; JSON, else text"))
    ] = None,
    args: Annotated[str, typer.Option("--args", metavar="JSON", help=_("all arguments as one JSON object"))] = "{}",
    life_s: Annotated[
        int, typer.Option("--life", min=1, max=MAX_LIFE_S, help=_("seconds after which it is not begun any more"))
    ] = 30,
    timeout_s: Annotated[
        float | None, typer.Option("--timeout", min=0.1, max=MAX_LIFE_S, help=_("seconds to wait for the result"))
    ] = None,
    insecure_plain_mqtt: control.InsecureOption = False,
    dry_run: control.DryRunOption = False,
    as_json: control.JsonOption = False,
) -> None:
    """Sign a command, send it and wait for its result: 0 done, 1 not done, 3 nobody answered."""
    control.check_node(node, as_json=as_json)
    address = control.broker_of(broker, ca, cert, key, insecure_plain_mqtt=insecure_plain_mqtt, as_json=as_json)
    signer = control.signer_of(signing_key, key_id, as_json=as_json)
    message = Command(
        v=1,
        node=node,
        id=new_id(),
        op=op,
        device=device,
        args=_arguments(args, arg or [], as_json=as_json),
        issued=time.time_ns() // 1_000_000,
        life_s=life_s,
    )
    try:
        envelope = build_envelope("command", message, key_id=signer.key_id, sign=signer.key.sign)
    except LocalProtocolError as error:
        fail(_("the command is not well formed: {error}").format(error=error), Exit.USAGE, as_json=as_json)
    topic = down_topic(node, "command")
    if dry_run:
        _show_dry_run(topic, message, envelope, as_json=as_json)
        return
    wait_s = life_s + GRACE_S if timeout_s is None else timeout_s
    waiting = _Waiting(message, envelope)
    control.run_conversation(waiting.run(control.ControlLink(address), wait_s), as_json=as_json)
    if waiting.result is None:
        if waiting.progress is not None:
            text = _("{id} is {state}, and its result did not come within {seconds:g} s")
            text = text.format(id=message.id, state=waiting.progress, seconds=wait_s)
            fail(text, Exit.UNREACHABLE, as_json=as_json)
        control.no_answer(node, wait_s, as_json=as_json)
    _show(waiting.result, as_json=as_json)
    if waiting.result.state != "done":
        raise typer.Exit(Exit.REFUSED)


class _Waiting:
    """One command under way."""

    def __init__(self, message: Command, envelope: bytes) -> None:
        self._message = message
        self._envelope = envelope
        self.progress: str | None = None
        self.result: Result | None = None

    async def run(self, link: control.ControlLink, wait_s: float) -> None:
        topic = up_topic(self._message.node, result_route(self._message.id))
        await link.converse(topic, self._send, self._take, wait_s)

    async def _send(self, link: control.ControlLink, client: aiomqtt.Client) -> None:
        topic = down_topic(self._message.node, "command")
        await link.publish(client, topic, self._envelope, life_s=self._message.life_s)

    def _take(self, payload: bytes) -> bool:
        try:
            result = decode(payload, Result)
        except RemoteProtocolError as error:
            say(_("an answer that is none: {error}").format(error=error))
            return False
        if result.id != self._message.id:  # the topic knows no capital letters, the id does
            return False
        if result.state in ("accepted", "running"):
            if result.state != self.progress:
                say(f"{result.id}: {result.state}")
            self.progress = result.state
            return False
        self.result = result
        return True


def new_id() -> str:
    """A new command's id: its time first, so that ids sort, then chance."""
    return f"{time.time_ns() // 1_000_000:X}-{secrets.token_hex(5).upper()}"


def _arguments(text: str, pairs: list[str], *, as_json: bool) -> dict[str, Any]:
    """`--args`, then each `--arg` over it; a value is JSON where it is JSON, else text."""
    try:
        arguments = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        fail(_("--args: is not a JSON object: {error}").format(error=error), Exit.USAGE, as_json=as_json)
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            fail(_('--arg: "{text}" is not KEY=VALUE').format(text=pair), Exit.USAGE, as_json=as_json)
        try:
            arguments[name] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            arguments[name] = value
    return arguments


def _show_dry_run(topic: str, message: Command, envelope: bytes, *, as_json: bool) -> None:
    if as_json:
        print_json({"topic": topic, "message": message, "envelope": msgspec.Raw(envelope)})
        return
    print_line(topic)
    print_line(visible(msgspec.json.format(msgspec.json.encode(message)).decode()))
    print_line(visible(envelope.decode()))
    say(_("dry run: nothing was sent"))


def _show(result: Result, *, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    facts = "".join(f"\n  {key}: {msgspec.json.encode(value).decode()}" for key, value in result.out.items())
    reason = f": {result.reason}" if result.reason else ""
    print_line(visible(f"{result.state}{reason}{facts}"))
