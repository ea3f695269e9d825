"""`wayside sink`: the reference ingest as a command."""

import asyncio
import signal
import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from drivers.ports.tcp_port import is_resolvable
from drivers.text import _, counted
from protocols.wayside.topics import is_level
from tools.output import Exit, fail, print_json, say
from tools.sink.ledger import LedgerError, read_ledger
from tools.sink.link import Link, LinkSettings, UnreachableError
from tools.sink.store import Store, StoreError

app = typer.Typer()


class UsageError(Exception):
    """An option that cannot be used; the text says why."""


@app.command()
def sink(
    broker: Annotated[str, typer.Option(help=_("mqtts://HOST[:PORT]; mqtt:// on loopback"))],
    ledger: Annotated[Path, typer.Option(help=_("the SQLite file to keep the records in"))],
    ca: Annotated[Path | None, typer.Option(help=_("certificates that the broker's is trusted by"))] = None,
    cert: Annotated[Path | None, typer.Option(help=_("our certificate"))] = None,
    key: Annotated[Path | None, typer.Option(help=_("its key"))] = None,
    client_id: Annotated[str, typer.Option("--id", help=_("MQTT client id, and our name to the nodes"))] = "ingest-1",
    patience_s: Annotated[float, typer.Option("--patience", min=0, help=_("seconds to try at the start"))] = 10.0,
    insecure_plain_mqtt: Annotated[
        bool, typer.Option("--insecure-plain-mqtt", help=_("allow mqtt:// beyond loopback"))
    ] = False,
    withhold_acks: Annotated[
        bool, typer.Option("--withhold-acks", help=_("for tests: store, but acknowledge nothing"))
    ] = False,
    discard: Annotated[bool, typer.Option("--discard", help=_("for tests: take everything, store nothing"))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_("plain data for programs"))] = False,
) -> None:
    """Take what nodes publish, store it exactly once, acknowledge it; until SIGTERM."""
    try:
        host, port, is_tls = parse_broker(broker, insecure_plain_mqtt=insecure_plain_mqtt)
        tls = tls_context(ca, cert, key) if is_tls else None
        if not is_level(client_id):
            raise UsageError(_("--id: is not 1 to 64 of a-z 0-9 _ -"))  # noqa: TRY301 -- one way out for all of them
    except UsageError as error:
        fail(str(error), Exit.USAGE, as_json=as_json)
    settings = LinkSettings(
        host=host,
        port=port,
        client_id=client_id,
        patience_s=patience_s,
        withhold_acks=withhold_acks or discard,
        discard=discard,
    )

    def ready() -> None:
        if as_json:
            print_json({"ready": {"broker": broker, "ledger": str(ledger)}})
        say(_("sink: on {broker}, writing {ledger}").format(broker=broker, ledger=ledger))

    try:
        asyncio.run(_run(settings, ledger, tls, ready))
        account = read_ledger(ledger)
    except (StoreError, LedgerError) as error:
        fail(str(error), Exit.REFUSED, as_json=as_json)
    except UnreachableError as error:
        text = _("{broker} cannot be reached: {error}").format(broker=broker, error=error)
        fail(text, Exit.UNREACHABLE, as_json=as_json)
    refused = sum(count for *_names, count in account.refusals)
    if as_json:
        print_json({"lanes": account.totals(), "refused": refused, "ok": True})
    else:
        _show(account.totals(), refused)


async def _run(settings: LinkSettings, ledger: Path, tls: ssl.SSLContext | None, ready: Any) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    is_first = True

    def connected() -> None:
        nonlocal is_first
        if is_first:
            ready()
        is_first = False

    store = Store(ledger)
    try:
        await Link(settings, store, tls=tls, say=say, on_connected=connected).run(stop)
    finally:
        store.close()


def parse_broker(url: str, *, insecure_plain_mqtt: bool) -> tuple[str, int, bool]:
    """Host, port and whether TLS, of a broker's URL. Raises `UsageError`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(_("--broker: {error}").format(error=error)) from error
    if parts.scheme not in ("mqtt", "mqtts") or not host or parts.path not in ("", "/") or parts.query:
        raise UsageError(_("--broker: is not mqtts://HOST[:PORT] or mqtt://HOST[:PORT]"))
    if not is_resolvable(host):
        raise UsageError(_("--broker: the parts of a host's name have 1 to 63 characters"))
    if parts.username is not None:
        raise UsageError(_("--broker: a name and password have no place in it; the certificate says who we are"))
    is_tls = parts.scheme == "mqtts"
    if not is_tls and not insecure_plain_mqtt and not _is_loopback(host):
        raise UsageError(_("--broker: plain mqtt:// is for loopback; use mqtts://, or say --insecure-plain-mqtt"))
    return host, port or (8883 if is_tls else 1883), is_tls


def tls_context(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """Verified TLS with our own certificate where there is one. Raises `UsageError`."""
    if (cert is None) != (key is None):
        raise UsageError(_("--cert and --key go together"))
    for path in (ca, cert, key):
        if path is not None and not path.is_file():
            raise UsageError(_("{path}: there is no such file").format(path=path))
    try:
        context = ssl.create_default_context(cafile=ca)
        if cert is not None:
            context.load_cert_chain(cert, key)
    except (OSError, ValueError) as error:
        raise UsageError(_("the certificates cannot be used: {error}").format(error=error)) from error
    return context


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _show(totals: dict[str, dict[str, int]], refused: int) -> None:
    table = Table(title=_("ledger"), title_justify="left")
    table.add_column(_("lane"))
    for name in (_("made"), _("received"), _("acknowledged"), _("lost"), _("duplicates"), _("missing")):
        table.add_column(name, justify="right")
    for lane, counts in totals.items():
        table.add_row(lane, *(f"{number:,}" for number in counts.values()))
    Console().print(table)
    if refused:
        say(counted("{number} message was refused", "{number} messages were refused", refused).format(number=refused))
