"""What the gateway says of itself: state, health, reported and catalogue for the cloud, the status document for people.

Nothing here keeps anything: each call reads the parts as they are.
"""

import os
import resource
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Protocol, cast

import msgspec

from edge.gateway.config_history import HistoryState
from edge.store.errors import StorageError
from edge.store.store import Store
from protocols.core.errors import LocalProtocolError
from protocols.wayside import state
from protocols.wayside.fields import Lane, TimeQuality

MB = 1_000_000
VERSION_VARIABLE = "WAYSIDE_VERSION"
"""What the launcher says of the release that it has started."""


class HealthClock(Protocol):
    """What is asked of the gateway's clock."""

    def monotonic(self) -> float:
        """Seconds on the drivers' scale."""

    def wall_ms(self, at: float | None = None) -> int:
        """UTC in ms as believed now."""

    def quality(self) -> str:
        """`gnss`, `ntp`, `rtc`, `hold` or `none`."""

    def uptime_ms(self, at: float | None = None) -> int:
        """Monotonic ms since the boot of this process."""


def version() -> str:
    """The release that the launcher has started, else the version that is installed."""
    release = os.environ.get(VERSION_VARIABLE)
    if release:
        return release
    try:
        return metadata.version("wayside")
    except metadata.PackageNotFoundError:
        return "0+source"


def resident_mb() -> float:
    """Memory of this process that lies in RAM, MB."""
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123  # read for each status: no detour
        return int(statm.read().split()[1]) * resource.getpagesize() / MB


def lane_health(store: Store, now: float) -> dict[Lane, state.LaneHealth]:
    """The counters of every lane."""
    return {
        lane.name: state.LaneHealth(
            made=lane.made,
            acked=lane.acked,
            queued=lane.queued,
            lost=lane.lost,
            oldest_s=round(lane.oldest_s(now), 1),
        )
        for lane in (store.lanes[name] for name in store.lanes)
    }


def state_payload(
    *,
    node: str,
    store: Store,
    clock: HealthClock,
    session: int,
    online: bool,
    why: str | None,
    config: state.ConfigReference,
    catalogue: str | None,
    uplink: str,
    acknowledged_by: str,
) -> bytes:
    """Birth, orderly close or will."""
    return state.encode(
        state.State(
            node=node,
            online=online,
            boot=store.boot,
            session=session,
            epochs={lane.name: lane.epoch for lane in store.lanes.values()},
            firmware=version(),
            config=config,
            catalogue=catalogue,
            uplink=uplink,
            time_quality=cast("TimeQuality", clock.quality()),
            acknowledged_by="ingest" if acknowledged_by == "ingest" else "broker",
            lanes={lane.name: (lane.made, lane.acked_upto) for lane in store.lanes.values()},
            why=why,
        )
    )


def reported_payload(history: HistoryState, digest: str, slots: Mapping[str, Any]) -> bytes:
    """Which configuration runs and what became of the newest change; `slots`: the account of updates, as it is."""
    config = state.ReportedConfig(
        version=history.version,
        digest=digest,
        state=history.outcome,
        reason=history.reason[:1000] if history.reason else None,
    )
    return state.encode(state.Reported(config=config, firmware={"version": version()}, slots=dict(slots)))


def health_payload(store: Store, clock: HealthClock, devices: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Counters, now and then."""
    brief = {
        name: {"state": device["state"], "starts": device["starts"], "lost_s": device["lost_s"]}
        for name, device in devices.items()
    }
    counters = state.Health(
        time=clock.wall_ms(),
        uptime=clock.uptime_ms(),
        lanes=lane_health(store, clock.monotonic()),
        devices=brief,
        disk_free_mb=free_mb(store),
        rss_mb=round(resident_mb(), 1),
    )
    try:
        return state.encode(counters)
    except LocalProtocolError:  # some 800 devices are more than a message holds: the lanes are what must be known
        return state.encode(msgspec.structs.replace(counters, devices={}))


def free_mb(store: Store) -> float:
    """Free space where the journals lie; 0 when even that cannot be told."""
    try:
        return round(store.free_bytes() / MB, 1)
    except StorageError:
        return 0.0


def storage_status(store: Store, error: str | None, not_recorded: Mapping[str, int]) -> dict[str, Any]:
    """Whether the disk takes records, and every bound of what waits for it."""
    error = error or store.trouble
    word = "full" if store.is_full else "ok" if error is None else "failing"
    return {
        "state": word,
        "error": error,
        "free_mb": free_mb(store),
        "quota_mb": store.quotas.total / MB,
        "used_mb": round(store.total_bytes / MB, 3),
        "bytes_written": store.bytes_written,
        "not_recorded": dict(not_recorded),
    }
