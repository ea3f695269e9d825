"""One run of the update agent that a hawkBit server steers: ask, take the update as far as it may go, tell."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ota.agent.agent import End, UpdateAgent
from ota.agent.audit import read_seen
from ota.agent.config import ConfigError, UpdateConfig
from ota.agent.gate import ClosedGate
from ota.agent.world import World
from ota.errors import OtaError, RefusedError, Rule
from ota.hawkbit.client import HawkbitClient
from ota.hawkbit.config import HawkbitConfig, read_hawkbit_config
from ota.hawkbit.mapping import Module
from ota.hawkbit.memory import FOLDER
from ota.hawkbit.steering import Steering
from ota.slots.lock import only_one
from ota.storage import PosixStorage, make_durable


@contextmanager
def opened(config: HawkbitConfig, **more: Any) -> Iterator[HawkbitClient]:
    """The client, alone on its memory. Raises `ConfigError`, `StorageError`, and `RefusedError` where it is not."""
    folder = config.path(config.data)
    storage = PosixStorage(folder)
    storage.open()
    make_durable(storage, FOLDER)
    with only_one(folder / FOLDER) as is_alone:
        if not is_alone:
            raise RefusedError(Rule.CONDITION, str(folder), "another process speaks to hawkBit for this device")
        yield HawkbitClient(config, storage, **more)


def modules_of(config: HawkbitConfig) -> dict[str, Module]:
    """ECU -> its software module."""
    return {ecu: Module(each.module, each.family) for ecu, each in config.ecu.items()}


def run(
    update: UpdateConfig,
    *,
    running: str,
    is_forced: bool = False,
    world: World | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> End:
    """See `UpdateAgent.run`; the configuration names the server's file.

    Whatever is wrong with that, or with what another process holds, closes the gate and ends no run: what is on trial
    is to be judged.
    """
    world = world or World()
    with ExitStack() as used:
        gate: Steering | ClosedGate
        try:
            gate = _steering(update, world, say, used)
        except OtaError as error:
            say(str(error))
            gate = ClosedGate(str(error))
        agent = UpdateAgent(update, running=running, world=world, gate=gate, say=say)
        if isinstance(gate, ClosedGate):
            return agent.run(is_forced=is_forced)
        gate.watch(agent.driver)
        gate.look()
        end = agent.run(is_forced=is_forced or gate.has_action)
        record, seen = agent.driver.record(), read_seen(agent.storage)
        gate.tell(record, agent.driver.state(record), seen.refusal, seen.rule)
    return end


def _steering(update: UpdateConfig, world: World, say: Callable[[str], None], used: ExitStack) -> Steering:
    assert update.hawkbit is not None, "asked before"
    hawkbit = read_hawkbit_config(update.path(update.hawkbit))
    _check_pair(update, hawkbit)
    clock = {"monotonic": world.monotonic, "wall_s": world.wall_s, "uniform": world.uniform}
    client = used.enter_context(opened(hawkbit, **clock))
    return Steering(client, modules_of(hawkbit), wall_s=world.wall_s, say=say)


def _check_pair(update: UpdateConfig, hawkbit: HawkbitConfig) -> None:
    for ecu, each in hawkbit.ecu.items():
        if ecu not in update.ecu:
            raise ConfigError(f"{hawkbit.file}: ecu.{ecu}: {update.file} has no such ECU")
        if each.family != update.ecu[ecu].family:
            raise ConfigError(f"{hawkbit.file}: ecu.{ecu}.family: {update.file} says {update.ecu[ecu].family}")
