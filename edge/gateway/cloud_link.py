"""The gateway's side of its uplink: which outbox and uplink run, what is said at birth, and the catalogue.

A change of `[uplink]` replaces both; the store, and with it everything owed, stays.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from drivers.errors import DeviceConfigError
from drivers.text import _
from edge.gateway import health
from edge.gateway.config import NodeConfigFile
from edge.gateway.config_history import HistoryState
from edge.gateway.durable import decode_kept, encode_kept, replace_file
from edge.gateway.session_count import SessionCount
from edge.store.outbox import Outbox
from edge.store.store import Store
from edge.uplinks.mqtt_session import Heard
from edge.uplinks.mqtt_uplink import MqttUplink
from protocols.core.errors import LocalProtocolError
from protocols.wayside import state
from protocols.wayside.topics import catalogue_route, request_route

log = logging.getLogger(__name__)


class KnownCatalogue(msgspec.Struct, frozen=True):
    """The newest catalogue that was recorded."""

    digest: str
    epoch: str
    seq: int
    payload: bytes


class CloudLink:
    """Owns the outbox and the uplink."""

    def __init__(
        self,
        *,
        config: NodeConfigFile,
        store: Store,
        clock: health.HealthClock,
        history: Callable[[], HistoryState],
        digest: Callable[[], str],
        slots: Callable[[], Mapping[str, Any]] = dict,
        on_connected: Callable[[], None],
        on_ahead: Callable[[str], None],
        heard: Heard,
    ) -> None:
        self._node = config.node.id
        self._store = store
        self._clock = clock
        self._history = history
        self._digest = digest
        self._slots = slots
        self._on_connected = on_connected
        self._on_ahead = on_ahead
        self._heard = heard
        self._sessions = SessionCount(Path(config.node.data) / "session.json", clock.wall_ms)
        self._catalogue_file = Path(config.node.data) / "catalogue.json"
        self._catalogue = self._read_catalogue()
        self._is_catalogue_kept = True
        self._is_copy_due = False
        self.build(config)

    def build(self, config: NodeConfigFile) -> None:
        """Make the outbox and the uplink of a configuration; the caller starts the uplink."""
        self._config = config.uplink.mqtt
        self.outbox = Outbox(
            list(self._store.lanes.values()),
            has_ingest=self._config.acknowledged_by == "ingest",
            on_ahead=self._on_ahead,
        )
        self.uplink = MqttUplink(
            node=self._node,
            config=self._config,
            folder=config.file.parent,
            outbox=self.outbox,
            clock=self._clock,
            state_payload=self._state_payload,
            next_session=self._sessions.next,
            on_connected=self._connected,
            heard=self._heard,
        )

    @property
    def is_connected(self) -> bool:
        """Whether a broker serves us."""
        return self.uplink.is_connected

    def committed(self) -> None:
        """The disk has something new."""
        if not self._is_catalogue_kept:
            self._keep_catalogue()
        elif self._is_copy_due:
            self._publish_catalogue()
        self.uplink.wake()

    def publish(self, route: str, payload: bytes) -> None:
        """Queue what is not a record."""
        self.uplink.publish(route, payload)

    def report(self) -> None:
        """Say which configuration runs, what became of the newest change, and how it stands with updates."""
        payload = health.reported_payload(self._history(), self._digest(), self._slots())
        self.uplink.publish("reported", payload, retain=True)

    def next_catalogue(
        self, digest: str, devices: dict[str, state.CatalogueDevice], blocks: dict[str, list[str]]
    ) -> tuple[str, bytes] | None:
        """The record to journal ahead of the first pack of these devices; None when it stands in this epoch already."""
        lane = self._store.lanes["telemetry"]
        known = self._catalogue
        if known is not None and (known.digest, known.epoch) == (digest, lane.epoch) and known.seq <= lane.made:
            return None
        catalogue = state.Catalogue(
            node=self._node, epoch=lane.epoch, seq=lane.next_seq, digest=digest, devices=devices, blocks=blocks
        )
        try:
            payload = state.encode_catalogue(catalogue)
        except LocalProtocolError as error:
            if self._config.compact:
                text = _("the catalogue does not fit into a message ({reason}); compact = false would do without it")
                raise DeviceConfigError(text.format(reason=error)) from error
            log.warning(_("the catalogue does not fit into a message and is not sent: %s"), error)
            return None
        self._catalogue = KnownCatalogue(digest, lane.epoch, lane.next_seq, payload)
        self._is_catalogue_kept = False
        return catalogue_route(digest), payload

    def _publish_catalogue(self) -> None:
        """For whoever comes later: retained, beside its record. As with the record, the disk has it first."""
        known = self._catalogue
        if known is None or not self._is_catalogue_kept or not self.uplink.is_connected:
            return
        # In the moment after an epoch has ended, its catalogue may bear a number that the ingest knows another record
        # by. The new epoch's is published when its own record is made.
        is_current = known.epoch == self._store.lanes["telemetry"].epoch
        self._is_copy_due = is_current and self.outbox.is_held("telemetry")
        if not is_current or self._is_copy_due:
            return  # held: its number may be an old record's, too, and the ingest will say
        self.outbox.sent_beside("telemetry", known.seq)
        self.uplink.publish(catalogue_route(known.digest), known.payload, retain=True)

    def _read_catalogue(self) -> "KnownCatalogue | None":
        try:
            return decode_kept(self._catalogue_file.read_bytes(), KnownCatalogue)
        except OSError:
            return None

    def _keep_catalogue(self) -> None:
        """Once its record is made: the next start with the same devices makes no other."""
        assert self._catalogue is not None, "there is one to keep"
        if self._catalogue.seq > self._store.lanes["telemetry"].made:
            return
        self._is_catalogue_kept = True
        try:
            replace_file(self._catalogue_file, encode_kept(self._catalogue))
        except OSError as error:
            log.warning(
                _("the catalogue could not be kept and is recorded again at the next start: %s"), error.strerror
            )
        self._publish_catalogue()

    def _ask_for_desired(self) -> None:
        """Some brokers hand no retained message to a subscription with a wildcard: whoever has pushed is asked."""
        request = state.Request(what="desired", have={"version": self._history().version})
        self.uplink.publish(request_route(request.what), state.encode(request))

    def _connected(self) -> None:
        self._publish_catalogue()
        self.report()
        self._ask_for_desired()
        self._on_connected()

    def _state_payload(self, *, session: int, online: bool, why: str | None) -> bytes:
        return health.state_payload(
            node=self._node,
            store=self._store,
            clock=self._clock,
            session=session,
            online=online,
            why=why,
            config=state.ConfigReference(version=self._history().version, digest=self._digest()),
            catalogue=self._catalogue.digest if self._catalogue else None,
            uplink=self._config.bearer,
            acknowledged_by=self._config.acknowledged_by,
        )
