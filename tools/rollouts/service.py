"""`wayside ota campaign serve`: the engine on its broker and the Director, until it is told to end."""

import asyncio
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from drivers.text import _
from ota.campaign.config import BrokerConfig, ConfigError, RolloutConfig
from ota.errors import OtaError
from tools.output import Exit, fail, print_json, say
from tools.rollouts.office import DEFAULT, ConfigOption, JsonOption, Office, opened, refusals

if TYPE_CHECKING:
    from ota.campaign.engine.engine import Engine
    from ota.campaign.store import plans
    from tools.control import Broker
    from tools.rollouts.director import DirectorServer
    from tools.rollouts.link import Link

InstanceOption = Annotated[
    str, typer.Option("--instance", metavar="NAME", help=_("tells engines that run side by side apart"))
]


def serve(
    config: ConfigOption = DEFAULT,
    instance: InstanceOption = "1",
    as_json: JsonOption = False,
) -> None:
    """Run rollouts until SIGTERM: tell devices, hear them, judge; and sign plans for devices that ask.

    On stdout one line once it runs, with --json; what happens to it later is told on stderr.
    """
    with refusals(as_json=as_json), opened(config, makes_database=True) as office:
        from tools.control import UnreachableError

        if office.config.director is None and office.config.broker is None:
            raise ConfigError(_("{file}: neither [broker] nor [director]: nothing to serve").format(file=config))
        away: list[str] = []
        try:
            asyncio.run(_serve(office, instance, as_json=as_json))
        except* UnreachableError as errors:
            away += map(str, errors.exceptions)
        if away:  # what is raised in there would come out in a group
            fail(away[0], Exit.UNREACHABLE, as_json=as_json)


async def _serve(office: Office, instance: str, *, as_json: bool) -> None:
    from ota.campaign.engine.engine import Engine
    from tools.rollouts.office import process_name, verify_by

    config = office.config
    link = _link_of(office, instance)
    director = _director(office)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    facts: dict[str, object] = {"ready": True, "database": office.database.name}
    try:
        if director is not None:
            director.start()
            facts["director"] = director.address
        if config.broker is not None:
            facts["broker"] = config.broker.url
        if as_json:
            print_json(facts)
        else:
            _tell(facts)
        if link is None:
            await stop.wait()
            return
        engine = Engine(office.database, process_name(instance), office.published.info_of, verify_by)
        await link(engine).run(stop)
    finally:
        if director is not None:
            await asyncio.to_thread(director.stop)


def _tell(facts: dict[str, object]) -> None:
    say(_("rollouts: in {database}").format(database=facts["database"]))
    text = _("plans are signed at http://{director}") if "director" in facts else _("no [director]: no plan is signed")
    say(text.format(director=facts.get("director")))
    text = _("devices are reached over {broker}") if "broker" in facts else _("no [broker]: no device is told or heard")
    say(text.format(broker=facts.get("broker")))


def _link_of(office: Office, instance: str) -> "Callable[[Engine], Link] | None":
    """The way to the devices; everything that it needs is read now. Raises `ConfigError`."""
    from tools.rollouts.link import Link, Signer
    from tools.rollouts.office import read_operator_key

    own = office.config.broker
    if own is None:
        return None
    broker = _broker(office.config, own)
    signer = Signer(own.key_id, read_operator_key(office.config, own.signing_key, own.passphrase_file))
    return lambda engine: Link(engine, broker, signer, instance=instance, clock=time.time, say=say)


def _broker(config: RolloutConfig, own: BrokerConfig) -> "Broker":
    from tools.control import Broker
    from tools.sink.app import UsageError, parse_broker, tls_context

    ca, certificate, key = (
        config.path(each) if each is not None else None for each in (own.ca, own.certificate, own.private_key)
    )
    try:
        host, port, is_tls = parse_broker(own.url, insecure_plain_mqtt=own.insecure_plain_mqtt)
        return Broker(own.url, host, port, tls_context(ca, certificate, key) if is_tls else None)
    except UsageError as error:
        raise ConfigError(f"{config.file}: {_of_the_file(str(error))}") from error


def _of_the_file(text: str) -> str:
    """What is said of options, said of the keys of the file that they are here."""
    for option, key in (
        ("--broker", "broker.url"),
        ("say --insecure-plain-mqtt", "set broker.insecure_plain_mqtt"),
        ("--cert", "broker.certificate"),
        ("--key", "broker.private_key"),
    ):
        text = text.replace(option, key)
    return text


def _director(office: Office) -> "DirectorServer | None":
    from ota.campaign.director import OnlineDirector
    from ota.repository.keys import SigningKey, read_passphrase
    from tools.rollouts.director import DirectorServer

    config, own = office.config, office.config.director
    if own is None:
        return None
    try:
        key = SigningKey.read(config.path(own.key), read_passphrase(config.path(own.passphrase_file)))
        director = OnlineDirector(key, office.published, _plan_of(office))
    except ConfigError:
        raise
    except OtaError as error:
        raise ConfigError(f"{config.file}: director: {error}") from error
    clock: Callable[[], float] = time.time
    return DirectorServer(config, own, director, clock, say)


def _plan_of(office: Office) -> "Callable[[str], plans.Made | None]":
    from ota.campaign.store import plans

    def plan_of(device: str) -> plans.Made | None:
        with office.database.reading() as connection:
            return plans.latest(connection, [device]).get(device)

    return plan_of
