"""The tables of a node's configuration that belong to no driver and no uplink, as frozen types.

The text below a key says what it is for; `docs/configuration.md` and the JSON Schema are drawn from these types.
"""

from typing import Annotated, Literal

import msgspec

from drivers.device_config import Name
from edge.uplinks.config import MqttConfig

LaneName = Literal["transaction", "event", "telemetry"]
QuotaMegabytes = Annotated[float, msgspec.Meta(ge=1, le=1_000_000)]
Operation = Annotated[str, msgspec.Meta(pattern=r"^(\*|[a-z0-9_-]+(\.[a-z0-9_-]+)*(\.\*)?)$(?!\n)", max_length=100)]
Listener = Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}$(?!\n)")]
FileName = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class NodeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[node]`: who the box is."""

    id: Name
    """The node's name in every topic, its MQTT client id and the common name of its certificate."""
    data: FileName
    """The folder of journals, state, log and the last good configurations. One gateway a folder."""


class UplinkConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[uplink]`: where records go."""

    mqtt: MqttConfig
    """The MQTT uplink."""


class LaneConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[journal.lane.<name>]`: one lane of the journal."""

    quota_mb: QuotaMegabytes
    """What this lane may fill, of the journal's whole quota."""


class JournalConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[journal]`: how much is kept while the network is away."""

    quota_mb: QuotaMegabytes = 256.0
    """What all lanes together may fill. Oldest telemetry goes first, then events, each as declared loss; transactions
    are never dropped."""
    lane: dict[LaneName, LaneConfig] = {}
    """A quota of its own for `transaction`, `event` or `telemetry`."""


class OperatorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[commands.operator]]`: someone whose signature the box obeys."""

    name: Name
    """The `key_id` of the operator's envelopes."""
    key: FileName
    """File of the operator's Ed25519 public key, as `wayside keys new` writes it."""
    ops: tuple[Operation, ...]
    """The operations that this operator may ask for: `modbus.write`, `vms.*`, or `*` for all."""


class CommandsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[commands]`: who may command the box."""

    harmless: tuple[Operation, ...] = ()
    """Operations that run without a signature. Whoever reaches the broker can then start them."""
    operator: tuple[OperatorConfig, ...] = ()
    """The operators."""


class PrivacyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[privacy]`: how people stay unknown."""

    hash_key: FileName | None = None
    """File of the key that card numbers and plates are hashed with; needed as soon as a driver sees one."""


class StatusConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[status]`: what the box tells on the spot."""

    prometheus: Listener | None = None
    """`HOST:PORT` to answer Prometheus on, such as `127.0.0.1:9464`; off unless asked for."""


class UpdateConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[update]`: who looks for new releases."""

    file: FileName | None = None
    """The `update.toml` of the update agent, which then is started now and then; without one nobody looks. The folder
    that its `data` names is where the gateway takes reports and the state of the slots from."""
    every_s: Annotated[float, msgspec.Meta(ge=10, le=604_800)] = 600.0
    """How often the agent is started. How often it asks the repositories is a matter of its own file."""
