"""Exchanges with a hawkBit server, written after the published reference and its model classes; each says which.

The reference is https://eclipse.dev/hawkbit/rest-api/ddi/ ("DDI Root Controller"), which is made from the repository
eclipse-hawkbit/hawkbit: hawkbit-ddi-api, DdiRootControllerRestApi for the resources, json/model for the bodies.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ota.hawkbit.client import HawkbitClient
from ota.hawkbit.config import HawkbitConfig, read_hawkbit_config
from ota.hawkbit.events import Event
from ota.storage import PosixStorage
from ota.testing.hawkbit_double import Exchange, HawkbitDouble

TENANT, CONTROLLER = "FIELD", "bus 12/4"
BASE = "/FIELD/controller/v1/bus%2012%2F4"
TOKEN = "b3Qx7nVw9uYp2KfGd5HsTjL8mZr4CeAq"  # of no server
SHA256 = "5d" * 32


def polled(
    *, sleep: str = "00:05:00", deployment: str = "", cancel: str = "", confirmation: str = "", wants: bool = False
) -> dict[str, Any]:
    """GET {base}: "Root resource for an individual Target", DdiControllerBase, DdiPolling.

    Of the links to an action there is one at most: DataConversionHelper.fromTarget.
    """
    at = f"https://inside.example:8443{BASE}"
    links: dict[str, Any] = {"installedBase": {"href": f"{at}/installedBase/3"}}
    if deployment:
        links["deploymentBase"] = {"href": f"{at}/deploymentBase/{deployment}"}
    if cancel:
        links["cancelAction"] = {"href": f"{at}/cancelAction/{cancel}"}
    if confirmation:
        links["confirmationBase"] = {"href": f"{at}/confirmationBase/{confirmation}"}
    if wants:
        links["configData"] = {"href": f"{at}/configData"}
    return {"config": {"polling": {"sleep": sleep}}, "_links": links}


def deployment(
    action: str = "7", *, download: str = "attempt", update: str = "attempt", window: str | None = None, **chunk: Any
) -> dict[str, Any]:
    """GET {base}/deploymentBase/{actionId}: "Resource for software module (Deployment Base)".

    DdiDeploymentBase, DdiDeployment, DdiChunk, DdiArtifact, DdiArtifactHash, DdiMetadata.
    """
    handled: dict[str, Any] = {"download": download, "update": update, "chunks": [module(**chunk)]}
    if window is not None:
        handled["maintenanceWindow"] = window
    return {"id": action, "deployment": handled, "actionHistory": {"status": "RUNNING", "messages": ["begun"]}}


def module(
    name: str = "gateway", version: str = "1.4.2", filename: str = "1.4.2.tar", metadata: dict[str, str] | None = None
) -> dict[str, Any]:
    """A chunk of one artifact: DdiChunk, DdiArtifact. The parts are the server's keys of module types: os, bApp."""
    at = f"https://cdn.example/{TENANT}/controller/v1/9/softwaremodules/21/artifacts/{filename}"
    chunk: dict[str, Any] = {
        "part": "bApp",
        "version": version,
        "name": name,
        "artifacts": [
            {
                "filename": filename,
                "hashes": {"sha1": "a1" * 20, "md5": "c3" * 16, "sha256": SHA256},
                "size": 20_480,
                "_links": {"download": {"href": at}, "md5sum-http": {"href": f"{at}.MD5SUM"}},
            }
        ],
    }
    if metadata is not None:
        chunk["metadata"] = [{"key": key, "value": value} for key, value in metadata.items()]
    return chunk


def confirmation(action: str = "7", **more: Any) -> dict[str, Any]:
    """GET {base}/confirmationBase/{actionId}: "Confirmation status of an action", DdiConfirmationBaseAction."""
    return {"id": action, "confirmation": deployment(action, **more)["deployment"]}


def cancellation(action: str = "7") -> dict[str, Any]:
    """GET {base}/cancelAction/{actionId}: "Cancel an action", DdiCancel, DdiCancelActionToStop."""
    return {"id": action, "cancelAction": {"stopId": action}}


def poll(**said: Any) -> Exchange:
    """A poll and its answer."""
    return Exchange("GET", BASE, body=polled(**said))


def asks(channel: str, link: str, body: Any) -> Exchange:
    """What a link points to."""
    return Exchange("GET", f"{BASE}/{channel}/{link}", body=body)


def told(action: str = "7", channel: str = "deploymentBase", status: int = 200, **more: Any) -> Exchange:
    """POST {base}/{channel}/{actionId}/feedback; 410 says that the action is not active any more."""
    return Exchange("POST", f"{BASE}/{channel}/{action}/feedback", status, **more)


class Bench:
    """A device's disk and time, and clients as processes would make them."""

    def __init__(self, folder: Path, server: HawkbitDouble) -> None:
        self.server = server
        self.now = 1_000.0
        self.wall = 1_780_000_000.0
        self.spread: Callable[[float, float], float] = lambda _low, high: high
        self.folder = folder
        (folder / "token").write_text(f"{TOKEN}\n")
        (folder / "token").chmod(0o600)
        self.config = self.read()
        self.storage = PosixStorage(folder / "data")
        self.storage.open()
        self.client = self.begin()

    def read(self, *, head: str = "", attributes: str = "") -> HawkbitConfig:
        """The configuration, with more lines at its head, and of its attributes."""
        file = self.folder / "hawkbit.toml"
        file.write_text(f"""
server = "{self.server.url}"
tenant = "{TENANT}"
controller = "{CONTROLLER}"
token_file = "token"
token_goes_unencrypted = true
data = "data"
{head}
[ecu.main]
module = "gateway"
family = "rsu/gateway"
[attributes]
{attributes}
""")
        self.config = read_hawkbit_config(file)
        return self.config

    def begin(self) -> HawkbitClient:
        """Another process: what the one before had in mind is gone."""
        self.client = HawkbitClient(
            self.config,
            self.storage,
            monotonic=lambda: self.now,
            wall_s=lambda: self.wall,
            uniform=lambda low, high: self.spread(low, high),
        )
        return self.client

    def round(self, *exchanges: Exchange) -> list[Event]:
        """What is learnt while just these exchanges happen."""
        self.server.expect(*exchanges)
        events = self.client.round()
        assert not self.server.script, f"not asked for: {list(self.server.script)}"
        assert not self.server.unexpected
        return events

    def wait(self) -> None:
        """Until there is something to do."""
        self.now += self.client.wait_s
