"""Every topic of the tree: built and parsed. MicroPython-clean.

A route is the tail of a node's own topic, `telemetry/flow-1`: what a journal record keeps, so that the node's id is not
stored with each record. See `docs/wire.md`, "Topics".

>>> up_topic("rsu-7f3a", telemetry_route("flow-1"))
'wayside/1/up/rsu-7f3a/telemetry/flow-1'
>>> parse_topic("wayside/1/up/rsu-7f3a/backfill/flow-1").lane
'telemetry'
"""

from protocols.core.errors import FieldError, LocalProtocolError

MAX_LEVEL_CHARS = 64
"""The longest level: a node's id, a stream, a kind, a digest, a command's id."""
_LEVEL_CHARS = "abcdefghijklmnopqrstuvwxyz0123456789_-"

INGEST_TOPIC = "wayside/1/ingest"
"""State of the ingest, retained."""

RESERVED_NODES = ("ingest", "control", "rollout")
"""The roles of the broker's access list: no node may bear their names."""

LANES = ("transaction", "event", "telemetry")
"""In order of rank: the last is evicted first."""

_NAMED = ("telemetry", "backfill", "event", "transaction", "catalogue", "result", "request")
_UNNAMED = ("state", "reported", "health")
_DOWN = ("command", "desired", "ack")
_LANE_OF = {
    "telemetry": "telemetry",
    "backfill": "telemetry",
    "catalogue": "telemetry",
    "event": "event",
    "transaction": "transaction",
}


class Topic:
    """A topic in its parts.

    direction: `up`, `down`, `group` or `ingest`. node: whose, or "" for the last two. kind: `telemetry`, `command`,
    `notice`, ... name: stream, event kind, digest, command id, request, or group; "" where the topic has none.
    """

    __slots__ = ("direction", "kind", "name", "node")

    def __init__(self, direction: str, node: str, kind: str, name: str) -> None:
        self.direction = direction
        self.node = node
        self.kind = kind
        self.name = name

    @property
    def lane(self) -> str | None:
        """The lane that the record on this topic belongs to; None where the payload is no record of a lane."""
        return _LANE_OF.get(self.kind) if self.direction == "up" else None

    def __repr__(self) -> str:
        return "Topic(" + ", ".join(map(repr, (self.direction, self.node, self.kind, self.name))) + ")"


def is_level(text: str) -> bool:
    """Whether `text` may stand as one level of a topic: 1 to 64 of `[a-z0-9_-]`."""
    return 0 < len(text) <= MAX_LEVEL_CHARS and not text.strip(_LEVEL_CHARS)


def check_level(text: str, field: str) -> str:
    """Return `text` if it may stand as one level, else raise `LocalProtocolError` naming `field`."""
    if not is_level(text):
        raise LocalProtocolError("is not 1 to 64 of a-z 0-9 _ -: " + repr(text[:80]), field=field)
    return text


def telemetry_route(stream: str) -> str:
    """Readings of one device, live."""
    return "telemetry/" + check_level(stream, "stream")


def backfill_route(route: str) -> str:
    """The route of a record that is sent late: telemetry moves to `backfill`, all else stays."""
    return "backfill/" + route[10:] if route.startswith("telemetry/") else route


def event_route(kind: str) -> str:
    """Events and alarms of one kind."""
    return "event/" + check_level(kind, "kind")


def transaction_route(kind: str) -> str:
    """Transactions of one kind."""
    return "transaction/" + check_level(kind, "kind")


def catalogue_route(digest: str) -> str:
    """What the points are."""
    return "catalogue/" + check_level(digest, "digest")


def result_route(command_id: str) -> str:
    """The results of one command. The level is the id in lower case; the payload holds it as it was sent."""
    return "result/" + check_level(command_id.lower(), "command_id")


def request_route(what: str) -> str:
    """Something that the node asks for."""
    return "request/" + check_level(what, "what")


def up_topic(node: str, route: str) -> str:
    """The topic of a node's route: `state`, `health`, `reported` or one that a function here made."""
    return "wayside/1/up/" + check_level(node, "node") + "/" + route


def down_topic(node: str, kind: str) -> str:
    """The topic of a node's `command`, `desired` or `ack`."""
    if kind not in _DOWN:
        raise LocalProtocolError("is neither command, desired nor ack", field="kind")
    return "wayside/1/down/" + check_level(node, "node") + "/" + kind


def notice_topic(group: str) -> str:
    """The topic of a group's notices."""
    return "wayside/1/group/" + check_level(group, "group") + "/notice"


def node_filters(node: str, groups: list[str] | tuple[str, ...] = ()) -> list[str]:
    """What a node subscribes to."""
    down = ["wayside/1/down/" + check_level(node, "node") + "/#", INGEST_TOPIC]
    return down + [notice_topic(group) for group in groups]


def parse_topic(text: str) -> Topic:
    """Take a topic apart. Raises `FieldError` for whatever is not of the tree."""
    levels = text.split("/")
    if len(levels) > 2 and levels[0] == "wayside" and levels[1] == "1":
        for level in levels:
            if not is_level(level):
                raise FieldError("a level is not 1 to 64 of a-z 0-9 _ -", field="topic")
        direction = levels[2]
        count = len(levels)
        if direction == "up" and count == 6 and levels[4] in _NAMED:
            return Topic("up", levels[3], levels[4], levels[5])
        if direction == "up" and count == 5 and levels[4] in _UNNAMED:
            return Topic("up", levels[3], levels[4], "")
        if direction == "down" and count == 5 and levels[4] in _DOWN:
            return Topic("down", levels[3], levels[4], "")
        if direction == "group" and count == 5 and levels[4] == "notice":
            return Topic("group", "", "notice", levels[3])
        if direction == "ingest" and count == 3:
            return Topic("ingest", "", "ingest", "")
    raise FieldError("is no topic of the tree wayside/1", field="topic")
