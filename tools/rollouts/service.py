"""`wayside ota campaign serve`: the engine on its broker and the Director, until it is told to end."""

import asyncio
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from drivers.text import _
from tools.output import Exit, fail, print_json, say
from tools.rollouts.office import DEFAULT, ConfigOption, JsonOption, Office, opened, refusals

if TYPE_CHECKING:
    from tools.control import Broker
    from tools.rollouts.director import DirectorServer

InstanceOption = Annotated[
    str, typer.Option("--instance", metavar="NAME", help=_("tells engines that run side by side apart"))
]


def serve(
    config: ConfigOption = DEFAULT,
    instance: InstanceOption = "1",
    as_json: JsonOption = False,
) -> None:
    """Run rollouts: tell devices, hear them, judge; and sign plans for devices that ask."""
    with refusals(as_json=as_json), opened(config) as office:
        from tools.control import UnreachableError

        try:
            asyncio.run(_serve(office, instance, as_json=as_json))
        except* UnreachableError as errors:
            fail(str(errors.exceptions[0]), Exit.UNREACHABLE, as_json=as_json)


async def _serve(office: Office, instance: str, *, as_json: bool) -> None:
    from ota.campaign.engine.engine import Engine
    from tools.rollouts.link import Link, Signer
    from tools.rollouts.office import process_name, read_operator_key, verify_by

    config = office.config
    director = _director(office)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    engine = Engine(office.database, process_name(instance), office.published.info_of, verify_by)
    facts: dict[str, object] = {"ready": True, "database": office.database.name}
    try:
        if director is not None:
            director.start()
            facts["director"] = director.address
        broker = _broker(office, as_json=as_json)
        if as_json:
            print_json(facts)
        else:
            say(_("rollouts: ready; {facts}").format(facts=", ".join(f"{key} {value}" for key, value in facts.items())))
        if broker is None or config.broker is None:
            await stop.wait()
            return
        key = read_operator_key(config, config.broker.signing_key, config.broker.passphrase_file)
        signer = Signer(config.broker.key_id, key)
        await Link(engine, broker, signer, instance=instance, clock=time.time, say=say).run(stop)
    finally:
        if director is not None:
            await asyncio.to_thread(director.stop)


def _broker(office: Office, *, as_json: bool) -> "Broker | None":
    from tools.control import broker_of

    own = office.config.broker
    if own is None:
        return None
    ca, certificate, key = (
        office.config.path(each) if each is not None else None for each in (own.ca, own.certificate, own.private_key)
    )
    return broker_of(own.url, ca, certificate, key, insecure_plain_mqtt=own.insecure_plain_mqtt, as_json=as_json)


def _director(office: Office) -> "DirectorServer | None":
    from ota.campaign.director import OnlineDirector
    from ota.campaign.store import plans
    from ota.repository.keys import SigningKey, read_passphrase
    from tools.rollouts.director import DirectorServer

    config, own = office.config, office.config.director
    if own is None:
        return None
    key = SigningKey.read(config.path(own.key), read_passphrase(config.path(own.passphrase_file)))

    def plan_of(device: str) -> plans.Made | None:
        with office.database.reading() as connection:
            return plans.latest(connection, [device]).get(device)

    clock: Callable[[], float] = time.time
    return DirectorServer(config, own, OnlineDirector(key, office.published, plan_of), clock, say)
