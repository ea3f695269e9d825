"""`wayside init [DIR]`: a configuration that works, with all that mutual TLS needs, from four answers.

Everything is made in a folder beside and moved into place at the end: an attempt that fails leaves nothing behind. What
exists is never replaced.
"""

import getpass
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer

from drivers.device_config import Name
from drivers.modbus.map_file import shipped_map_names
from drivers.ports.open_port import check_port_url
from drivers.text import _
from edge.deploy import __file__ as deploy_package
from edge.gateway.config_words import described, shown, unknown_name
from edge.identity.development_ca import CA_CERTIFICATE, DevelopmentCa, DevelopmentCaError
from edge.identity.operator_keys import OperatorKey, write_new
from edge.uplinks.config import Broker, MqttConfig
from emulators.broker import find_mosquitto
from protocols.wayside.topics import RESERVED_NODES
from tools.check import problems_of
from tools.output import Exit, fail, print_json, print_line, say, visible

CONFIG = "node.toml"
OPERATOR = "ops-1"
BROKER_URL = "mqtts://localhost:8883"
DEVICE_PORT = "tcp:127.0.0.1:5020"
DEVICE_MAP = "eastron_sdm630"
QUOTA_MB = 256
DISK_SHARE = 0.1
"""A starter's journal takes a tenth of the disk at most."""
PSEUDONYM_KEY_BYTES = 32
ENTRIES = (CONFIG, "pki", "keys", "broker")

app = typer.Typer()


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What a starter configuration depends on."""

    node: str
    broker: Broker
    acknowledged_by: str
    port: str
    """Of a first Modbus device; empty for none."""
    register_map: str


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help=_("where to write it"))] = Path(),
    node: Annotated[str | None, typer.Option("--node", metavar="ID", help=_("the node's name"))] = None,
    broker: Annotated[str | None, typer.Option("--broker", metavar="URL", help=_("mqtts://HOST:PORT"))] = None,
    acknowledged_by: Annotated[
        str | None,
        typer.Option("--acknowledged-by", metavar="WHO", help=_("ingest or broker: who says that it is stored")),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="PORT", help=_("port of a first Modbus device; none for no device")),
    ] = None,
    register_map: Annotated[str, typer.Option("--map", metavar="NAME", help=_("its register map"))] = DEVICE_MAP,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=_("ask nothing, take the defaults"))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_("one JSON object out"))] = False,
) -> None:
    """Write a starter configuration with a development CA, certificates, keys and the broker's files."""
    folder = _whole(folder, as_json=as_json)
    taken = [entry for entry in ENTRIES if (folder / entry).exists() or (folder / entry).is_symlink()]
    if taken:
        text = _("{file} exists, and nothing is replaced; choose another folder")
        fail(text.format(file=folder / taken[0]), as_json=as_json)
    questions = _Questions(is_silent=yes, as_json=as_json)
    answers = Answers(
        node=questions.node(node),
        broker=questions.broker(broker),
        acknowledged_by=questions.acknowledged_by(acknowledged_by),
        port=questions.port(device),
        register_map=questions.register_map(register_map),
    )
    try:
        write_starter(folder, answers, now=datetime.now(UTC))
    except (OSError, DevelopmentCaError) as error:
        text = _("{folder} cannot be written: {reason}; nothing was left in it")
        fail(text.format(folder=folder, reason=_reason_of(error)), as_json=as_json)
    config = folder / CONFIG
    problems = problems_of(config)
    if problems:
        for problem in problems:
            say(str(problem))
        fail(_("{file} was written, and has mistakes").format(file=config), as_json=as_json)
    if as_json:
        print_json({"ok": True, "config": str(config), "node": answers.node, "broker": answers.broker.url})
    else:
        print_line(str(config))
    say(visible(next_steps(folder, answers)))


def _whole(folder: Path, *, as_json: bool) -> Path:
    """The folder's whole name. Ends the command for what can be none."""
    try:
        folder = folder.absolute()
        is_other = (folder.exists() or folder.is_symlink()) and not folder.is_dir()
    except OSError as error:
        fail(_("{folder}: {reason}").format(folder=folder, reason=error.strerror), as_json=as_json)
    if is_other:
        fail(_("{folder} is there and is no folder").format(folder=folder), as_json=as_json)
    return folder


def _reason_of(error: OSError | DevelopmentCaError) -> str:
    """What the system says; the file is one that is gone again."""
    cause = error.__cause__ if isinstance(error, DevelopmentCaError) else error
    return (cause.strerror if isinstance(cause, OSError) else None) or str(error)


def write_starter(folder: Path, answers: Answers, *, now: datetime) -> None:
    """Write everything, or nothing. Raises `OSError` and `DevelopmentCaError`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".wayside-init-", dir=folder) as scratch:
        made = Path(scratch)
        _write_pki(made / "pki", answers, now)
        (made / "keys").mkdir(mode=0o700)
        OperatorKey.new().write(made / "keys" / f"{OPERATOR}.key", made / "keys" / f"{OPERATOR}.pub")
        secret = secrets.token_hex(PSEUDONYM_KEY_BYTES).encode() + b"\n"
        write_new(made / "keys" / "pseudonym.key", secret, mode=0o600)
        (made / "broker" / "data").mkdir(parents=True)
        deploy = Path(deploy_package).parent
        shutil.copyfile(deploy / "mosquitto.acl", made / "broker" / "wayside.acl")
        (made / "broker" / "wayside.acl").chmod(0o600)  # Mosquitto warns of one that others can read
        conf = broker_config((deploy / "mosquitto.conf").read_text("utf-8"), folder, answers.broker.port)
        (made / "broker" / "mosquitto.conf").write_text(conf, "utf-8")
        (made / CONFIG).write_text(starter_config(answers, quota_mb(folder)), "utf-8")
        for entry in ENTRIES:
            (made / entry).rename(folder / entry)


def _write_pki(folder: Path, answers: Answers, now: datetime) -> None:
    authority = DevelopmentCa.create(folder, now=now)
    hosts = dict.fromkeys((answers.broker.host, "localhost", "127.0.0.1", "::1"))
    authority.issue_server("broker", now=now, hosts=tuple(hosts))
    for client in (answers.node, *RESERVED_NODES):
        authority.issue_client(client, now=now)


def broker_config(shipped: str, folder: Path, port: int) -> str:
    """The shipped configuration of Mosquitto with the paths of this folder in it."""
    values = {
        "listener": str(port),
        "cafile": str(folder / "pki" / CA_CERTIFICATE),
        "certfile": str(folder / "pki" / "broker.pem"),
        "keyfile": str(folder / "pki" / "broker.key"),
        "acl_file": str(folder / "broker" / "wayside.acl"),
        "persistence_location": f"{folder / 'broker' / 'data'}/",
    }
    text = shipped[shipped.index("listener ") :]
    for key, value in values.items():
        text, count = re.subn(rf"^{key} .*$", lambda _found, line=f"{key} {value}": line, text, flags=re.MULTILINE)
        assert count == 1, f"the shipped mosquitto.conf has no line {key}"
    start = f"# mosquitto -c {folder / 'broker' / 'mosquitto.conf'}\n"
    return f"{start}\n# Started by root, it goes on as whoever can read the keys.\nuser {getpass.getuser()}\n\n{text}"


def starter_config(answers: Answers, quota: int) -> str:
    """The TOML."""
    device = _DEVICE.format(port=answers.port, register_map=answers.register_map)
    if not answers.port:
        device = "".join(f"# {line}\n" if line else "\n" for line in device.splitlines())
    return _CONFIG.format(
        node=answers.node,
        broker=answers.broker.url,
        acknowledged_by=answers.acknowledged_by,
        ca=CA_CERTIFICATE,
        file=CONFIG,
        quota=quota,
        operator=OPERATOR,
        device=device,
    )


def next_steps(folder: Path, answers: Answers) -> str:
    """What to type now."""
    config, pki = folder / CONFIG, folder / "pki"
    steps = [(_("start the broker"), f"{find_mosquitto() or 'mosquitto'} -c {folder / 'broker' / 'mosquitto.conf'}")]
    if answers.port == DEVICE_PORT:
        steps.append((_("emulate the device, until there is a real one"), f"wayside emulate modbus --at {DEVICE_PORT}"))
    if answers.acknowledged_by == "ingest":
        tls = f"--ca {pki / CA_CERTIFICATE} --cert {pki / 'ingest.pem'} --key {pki / 'ingest.key'}"
        sink = f"wayside sink --broker {answers.broker.url} --ledger {folder / 'ledger.db'} {tls}"
        steps.append((_("take the records in"), sink))
    steps += [
        (_("run the gateway"), f"wayside run {config}"),
        (_("see what it reads"), f"wayside tail {config}"),
    ]
    lines = [f"  {number}. {what}:\n     {command}" for number, (what, command) in enumerate(steps, 1)]
    warning = _("The certificates come from a development CA: for a desk, never for the field.")
    return "\n".join([_("Next, each in a terminal of its own:"), *lines, warning])


def default_node() -> str:
    """This machine's name, as far as a node can have it."""
    name = re.sub(r"[^a-z0-9_-]+", "-", socket.gethostname().lower()).strip("-_")[:63]
    return name if name and name not in RESERVED_NODES else "node-1"


def quota_mb(folder: Path) -> int:
    """A quota that this disk has room for."""
    disk = os.statvfs(folder)
    return max(1, min(QUOTA_MB, int(disk.f_blocks * disk.f_frsize * DISK_SHARE / 1_000_000)))


class _Questions:
    """Asks a person for what no option gave, and refuses answers that a configuration cannot hold."""

    def __init__(self, *, is_silent: bool, as_json: bool) -> None:
        self._is_silent = is_silent
        self._as_json = as_json

    def node(self, given: str | None) -> str:
        name = self._ask(given, _("the node's name"), default_node())
        try:
            msgspec.convert(name, Name)
        except msgspec.ValidationError:
            self._refuse(_("{value} cannot be a node, must be {expected}"), name, described(Name))
        if name in RESERVED_NODES:
            self._refuse(_("{value} cannot be a node: the broker takes {expected} for others"), name, name)
        return name

    def broker(self, given: str | None) -> Broker:
        url = self._ask(given, _("the MQTT broker"), BROKER_URL)
        tls = dict.fromkeys(("ca", "cert", "key"), "-")
        try:
            broker = msgspec.convert(
                {"brokers": [url], "acknowledged_by": "ingest", "tls": tls, "insecure_plain_mqtt": True}, MqttConfig
            ).parsed_brokers[0]
        except msgspec.ValidationError:
            self._refuse(_("{value} is no broker, must be {expected}"), url, "mqtts://HOST:PORT")
        if not broker.tls:
            self._refuse(_("{value} has no TLS, which this sets up; must be {expected}"), url, "mqtts://HOST:PORT")
        return broker

    def acknowledged_by(self, given: str | None) -> str:
        who = self._ask(given, _("who says that a record is stored (ingest or broker)"), "ingest")
        if who not in ("ingest", "broker"):
            self._refuse(_("{value} acknowledges nothing, must be {expected}"), who, _("ingest or broker"))
        return who

    def port(self, given: str | None) -> str:
        port = self._ask(given, _("port of a first Modbus device, or none"), DEVICE_PORT)
        if port in ("", "none"):
            return ""
        wrong = check_port_url(port)
        if wrong is not None:
            self._refuse(_("{value} is no port: {expected}"), port, wrong)
        return port

    def register_map(self, name: str) -> str:
        if name not in shipped_map_names():
            fail(
                _("the map {text}").format(text=unknown_name(name, shipped_map_names())),
                Exit.USAGE,
                as_json=self._as_json,
            )
        return name

    def _ask(self, given: str | None, question: str, default: str) -> str:
        if given is not None:
            return given
        if self._is_silent:
            return default
        if not sys.stdin.isatty():
            text = _("there is no terminal to ask at; use --yes, and options for what differs")
            fail(text, Exit.USAGE, as_json=self._as_json)
        return str(typer.prompt(question, default=default, err=True))

    def _refuse(self, text: str, value: str, expected: str) -> NoReturn:
        fail(text.format(value=shown(value), expected=expected), Exit.USAGE, as_json=self._as_json)


_CONFIG = """\
# A Wayside node. Every key: docs/configuration.md. Look it over with: wayside check {file}

[node]
id = "{node}"
data = "var"

[uplink.mqtt]
brokers = ["{broker}"]
acknowledged_by = "{acknowledged_by}"

[uplink.mqtt.tls]
ca = "pki/{ca}"
cert = "pki/{node}.pem"
key = "pki/{node}.key"

[journal]
quota_mb = {quota}

[[commands.operator]]
name = "{operator}"
key = "keys/{operator}.pub"
ops = ["modbus.write", "config.push"]

[privacy]
hash_key = "keys/pseudonym.key"

{device}
# A line that several devices share, and one more device on it:
#
# [[bus]]
# name = "rs485-1"
# port = "serial:/dev/ttyS1?baud=9600&parity=N"
#
# [[device]]
# name = "meter-2"
# driver = "modbus"
# bus = "rs485-1"
# unit_id = 2
# map = "eastron_sdm630"
# period_s = 1.0
#
# [[device]]
# name = "gnss"
# driver = "gnss"
# port = "serial:/dev/ttyS2?baud=9600"
#
# [[device]]
# name = "reader-1"
# driver = "card_reader"
# port = "serial:/dev/ttyUSB1?baud=115200"
"""

_DEVICE = """\
[[device]]
name = "meter-1"
driver = "modbus"
port = "{port}"
unit_id = 1
map = "{register_map}"
period_s = 1.0
"""
