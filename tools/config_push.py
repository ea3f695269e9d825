"""`wayside config push FILE`: sign a configuration, hand it to a node, wait for what became of it.

The document is checked here first, with the same words as `wayside check`. What it says of files and ports is the
node's own affair, and is not looked at. A node that the configuration cuts off from its broker goes back to the last
good one within two minutes and reports that; so the default is to wait a little longer.
"""

import asyncio
import hashlib
import re
import time
import tomllib
from pathlib import Path
from typing import Annotated

import aiomqtt
import msgspec
import typer

from drivers.text import _, counted
from edge.gateway.config import MAX_DOCUMENT_BYTES as MAX_FILE_BYTES
from edge.gateway.config import ConfigError, digest_of, parse_config
from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.wayside.envelope import MAX_DOCUMENT_BYTES, Desired, build_envelope
from protocols.wayside.state import Reported, ReportedConfig, decode
from protocols.wayside.topics import down_topic, up_topic
from tools import control
from tools.output import Exit, fail, fail_of_config, print_json, print_line, say, visible

WAIT_S = 150.0
RETAINED_WITHIN_S = 5.0
"""What the broker keeps comes at once; longer is only for a slow line."""

_URL = re.compile(r"https://[!-~]{1,2000}")

app = typer.Typer(no_args_is_help=True)


@app.callback()
def config() -> None:
    """Configure nodes."""


@app.command()
def push(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_("the configuration"))],
    broker: control.BrokerOption,
    node: control.NodeOption,
    signing_key: control.SigningKeyOption,
    key_id: control.KeyIdOption = None,
    ca: control.CaOption = None,
    cert: control.CertOption = None,
    key: control.KeyOption = None,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help=_("its number; by default one more than the node's"))
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="https://...", help=_("where the node may fetch the same file")),
    ] = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=0.1, max=86_400, help=_("seconds to wait for what becomes of it"))
    ] = WAIT_S,
    no_wait: Annotated[bool, typer.Option("--no-wait", help=_("leave it with the broker and end"))] = False,
    insecure_plain_mqtt: control.InsecureOption = False,
    dry_run: control.DryRunOption = False,
    as_json: control.JsonOption = False,
) -> None:
    """Sign and publish a configuration: 0 it runs, 1 refused or rolled back, 3 nobody answered."""
    control.check_node(node, as_json=as_json)
    if url is not None and not _URL.fullmatch(url):
        fail(_("--url: is not https://HOST/PATH"), Exit.USAGE, as_json=as_json)
    document = checked_document(file, node, is_inline=url is None, as_json=as_json)
    address = control.broker_of(broker, ca, cert, key, insecure_plain_mqtt=insecure_plain_mqtt, as_json=as_json)
    signer = control.signer_of(signing_key, key_id, as_json=as_json)
    pushing = _Pushing(node, document, signer, version, url)
    link = control.ControlLink(address)
    if dry_run:
        if version is None:
            control.run_conversation(pushing.learn_version(link), as_json=as_json)
        _end_without_version(pushing, as_json=as_json)
        _show_dry_run(pushing, as_json=as_json)
        return
    control.run_conversation(pushing.run(link, timeout_s, is_waiting=not no_wait), as_json=as_json)
    _end_without_version(pushing, as_json=as_json)
    if no_wait:
        if as_json:
            print_json({"ok": True, "version": pushing.version, "digest": pushing.digest})
        else:
            print_line(_("version {number} lies at the broker").format(number=pushing.version))
        return
    if pushing.outcome is None:
        control.no_answer(node, timeout_s, as_json=as_json)
    _show(pushing, pushing.outcome, as_json=as_json)


def checked_document(file: Path, node: str, *, is_inline: bool, as_json: bool) -> str:
    """The document of a file. Ends the command with the lines of `wayside check` where it has mistakes."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
        parsed = parse_config(data, file)
        text = data.decode()
    except OSError as error:
        fail(f"{file}: {error.strerror}", Exit.USAGE, as_json=as_json)
    except UnicodeDecodeError:
        fail(_("{file}: is not UTF-8").format(file=file), Exit.USAGE, as_json=as_json)
    except ConfigError as error:
        count = len(error.problems)
        text = counted("{count} problem", "{count} problems", count).format(count=count)
        fail_of_config(error.problems, text, as_json=as_json)
    if parsed.node.id != node:
        text = _("{file}: is the configuration of {other}, not of {node}")
        fail(text.format(file=file, other=parsed.node.id, node=node), Exit.USAGE, as_json=as_json)
    if is_inline and len(data) > MAX_DOCUMENT_BYTES:
        what = _("{file}: is {size} bytes long; {most} may travel; put it on a server and give --url")
        fail(what.format(file=file, size=len(data), most=MAX_DOCUMENT_BYTES), Exit.USAGE, as_json=as_json)
    return text


class _Pushing:
    """One configuration on its way."""

    def __init__(self, node: str, document: str, signer: control.Signer, version: int | None, url: str | None) -> None:
        self.node = node
        self.version = version
        self.digest = digest_of(tomllib.loads(document))
        self.outcome: ReportedConfig | None = None
        self.taken_version: int | None = None
        """Of the node, as it reports it."""
        self._document = document
        self._url = url
        self._signer = signer
        self._envelope = b""

    async def run(self, link: control.ControlLink, wait_s: float, *, is_waiting: bool) -> None:
        """Learn the node's version, publish, wait."""
        if self.version is None:
            await self.learn_version(link)
            if self.version is None:
                return
        take = self._take if is_waiting else self._take_nothing
        sent = asyncio.Event()

        async def send(link: control.ControlLink, client: aiomqtt.Client) -> None:
            await link.publish(client, down_topic(self.node, "desired"), self.envelope(), retain=True)
            if not sent.is_set():
                say(_("version {number} was handed to the broker").format(number=self.version))
            sent.set()

        if is_waiting:
            await link.converse(up_topic(self.node, "reported"), send, take, wait_s)
            return
        talk = asyncio.create_task(link.converse(up_topic(self.node, "reported"), send, take, wait_s))
        done = asyncio.create_task(sent.wait())
        try:
            await asyncio.wait([talk, done], return_when=asyncio.FIRST_COMPLETED)
            if talk.done():
                await talk  # the broker was not reached: its error says why
        finally:
            for task in (talk, done):
                task.cancel()
            await asyncio.gather(talk, done, return_exceptions=True)

    async def learn_version(self, link: control.ControlLink) -> None:
        """Take the next number after the one that the node reports; none is left where it reports nothing."""
        await link.converse(up_topic(self.node, "reported"), _nothing_to_send, self._learn, RETAINED_WITHIN_S)
        if self.taken_version is not None:
            self.version = self.taken_version + 1

    def envelope(self) -> bytes:
        """The signed document. Ends the command where it does not fit."""
        if not self._envelope:
            assert self.version is not None
            issued = time.time_ns() // 1_000_000
            where: dict[str, str] = {"document": self._document}
            if self._url is not None:
                where = {"url": self._url, "sha256": hashlib.sha256(self._document.encode()).hexdigest()}
            desired = msgspec.convert(
                {"v": 1, "node": self.node, "version": self.version, "issued": issued} | where, Desired
            )
            self._envelope = build_envelope("desired", desired, key_id=self._signer.key_id, sign=self._signer.key.sign)
        return self._envelope

    def _learn(self, payload: bytes) -> bool:
        reported = _reported(payload)
        if reported is not None:
            self.taken_version = reported.version
        return reported is not None

    def _take(self, payload: bytes) -> bool:
        reported = _reported(payload)
        if reported is None or self.version is None or reported.version < self.version:
            return False  # what the broker kept from before
        self.outcome = reported
        return True

    @staticmethod
    def _take_nothing(_payload: bytes) -> bool:
        return False


async def _nothing_to_send(_link: control.ControlLink, _client: aiomqtt.Client) -> None:
    """Only listening."""


def _reported(payload: bytes) -> ReportedConfig | None:
    try:
        return decode(payload, Reported).config
    except RemoteProtocolError as error:
        say(_("an answer that is none: {error}").format(error=error))
        return None


def _end_without_version(pushing: _Pushing, *, as_json: bool) -> None:
    if pushing.version is None:
        text = _("{node} has reported nothing to this broker yet; if it shall wait for the node, give --version")
        fail(text.format(node=pushing.node), Exit.UNREACHABLE, as_json=as_json)


def _show_dry_run(pushing: _Pushing, *, as_json: bool) -> None:
    try:
        envelope = pushing.envelope()
    except LocalProtocolError as error:
        fail(str(error), Exit.USAGE, as_json=as_json)
    topic = down_topic(pushing.node, "desired")
    if as_json:
        facts = {"topic": topic, "version": pushing.version, "digest": pushing.digest}
        print_json(facts | {"envelope": msgspec.Raw(envelope)})
    else:
        print_line(f"{topic}\n{pushing.version}  {pushing.digest}\n{envelope.decode()}")
        say(_("dry run: nothing was sent"))


def _show(pushing: _Pushing, outcome: ReportedConfig, *, as_json: bool) -> None:
    is_ours = outcome.version == pushing.version and (outcome.state != "running" or outcome.digest == pushing.digest)
    is_good = is_ours and outcome.state == "running"
    reason = outcome.reason
    if not is_ours:
        reason = _("another configuration was pushed as version {number}").format(number=outcome.version)
    if as_json:
        print_json({"ok": is_good, "state": outcome.state, "version": outcome.version, "digest": outcome.digest,
                    "reason": reason})  # fmt: skip
    else:
        print_line(visible(f"{outcome.state}: {reason}" if reason else outcome.state))
    if not is_good:
        raise typer.Exit(Exit.REFUSED)
