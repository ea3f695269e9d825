"""A real MQTT broker as a child process on a free loopback port: started, stopped, killed, frozen, brought back.

`Mosquitto` runs the distribution's own (2.0 or later; Debian puts it into `/usr/sbin`) with a configuration and a
database of its own in one folder, so that tests do not meet each other. `EmbeddedBroker` is what the demonstration
falls back to where Mosquitto cannot be installed; `EmbeddedBroker.CANNOT` says what it leaves out.

The broker dies with the thread that started it where the system has `setpriv`; Ctrl-C goes past it.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import msgspec

START_WITHIN_S = 10.0
STOP_WITHIN_S = 5.0
MAX_LOG_LINES = 500
_MAX_LINE_BYTES = 1000
_POLL_S = 0.02
_PORT_TRIES = 5
_WHERE_MOSQUITTO_HIDES = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"


class BrokerError(Exception):
    """The broker is not there, does not start or does not stop; the text ends with what it said last."""


class BrokerTls(msgspec.Struct, frozen=True):
    """Mutual TLS: which clients are trusted, and who the broker is."""

    ca: Path
    cert: Path
    key: Path


def find_mosquitto() -> str | None:
    """Where the distribution's Mosquitto is, or None."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which("mosquitto", path=f"{path}:{_WHERE_MOSQUITTO_HIDES}")


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _ChildBroker(ABC):
    """A broker's life as a child process. Enter it as a context, or call `start` and `stop`."""

    _READY: ClassVar[str]
    """What it says once it runs. Somebody else's listener on the port could answer a mere connection."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder
        self._fixed_port = port
        self._port = port or 0
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._log: deque[str] = deque(maxlen=MAX_LOG_LINES)

    @property
    def port(self) -> int:
        """Its port: chosen at the first start, the same ever after."""
        return self._port

    @property
    def host(self) -> str:
        """What clients connect to."""
        return "127.0.0.1"

    @property
    def url(self) -> str:
        """The broker's URL, as configurations name it."""
        return f"mqtt://{self.host}:{self._port}"

    @property
    def pid(self) -> int | None:
        """Its process, or None while it does not run."""
        return self._process.pid if self.is_running and self._process else None

    @property
    def is_running(self) -> bool:
        """Whether the process is there (it may be frozen)."""
        return self._process is not None and self._process.returncode is None

    @property
    def log(self) -> list[str]:
        """The last lines that it said."""
        return list(self._log)

    async def start(self) -> None:
        """Start it and wait until it accepts connections. Raises `BrokerError`."""
        if self.is_running:
            return
        tries = 1 if self._port else _PORT_TRIES
        for attempt in range(tries):
            port = self._port or free_port()
            try:
                await self._start_on(port)
            except BrokerError as error:
                if "in use" not in str(error) or attempt + 1 == tries:
                    raise
            else:
                self._port = port
                return

    async def stop(self) -> None:
        """End it in good order: it writes what it keeps."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it as a power cut would: what it had not yet written is gone."""
        await self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it in its tracks: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen one go on."""
        self._signal(signal.SIGCONT)

    async def restart(self, *, lose: bool = False) -> None:
        """Stop it and start it on the same port; with `lose` it has forgotten sessions and retained messages."""
        await self.stop()
        if lose:
            self.forget()
        await self.start()

    def forget(self) -> None:
        """Remove what it keeps over a restart. It must not run."""
        if self.is_running:
            raise BrokerError("a running broker does not forget")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @abstractmethod
    def _command(self, port: int) -> list[str]:
        """Write the configuration and say how to start."""

    async def _start_on(self, port: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = self._command(port)
        setpriv = shutil.which("setpriv")
        if setpriv is not None:
            command = [setpriv, "--pdeathsig", "KILL", *command]
        self._log.clear()
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            process_group=0,
        )
        self._reader = asyncio.get_running_loop().create_task(self._read_log(self._process), name="broker log")
        try:
            await asyncio.wait_for(self._until_it_listens(port), START_WITHIN_S)
        except TimeoutError as error:
            await self.kill()
            raise BrokerError(self._last_words(f"did not listen within {START_WITHIN_S:.0f} s")) from error
        except BaseException:
            await self.kill()
            raise

    async def _until_it_listens(self, port: int) -> None:
        while True:
            if not self.is_running:
                code = self._process.returncode if self._process else None
                if self._reader is not None:
                    await self._reader
                raise BrokerError(self._last_words(f"ended with {code} before it listened"))
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(_POLL_S)
                continue
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            if any(self._READY in line for line in self._log):
                return
            await asyncio.sleep(_POLL_S)

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        rest = b""
        while chunk := await process.stdout.read(4096):
            *lines, rest = (rest + chunk).split(b"\n")
            self._log.extend(line[:_MAX_LINE_BYTES].decode(errors="replace") for line in lines)
            rest = rest[:_MAX_LINE_BYTES]

    async def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        self._signal(number)
        self._signal(signal.SIGCONT)  # a frozen one must wake to end
        try:
            await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await process.wait()
        if self._reader is not None:
            await self._reader
        self._process = self._reader = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            # Process.send_signal() would collect a child that just ended, before asyncio's own watcher can.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def _last_words(self, what: str) -> str:
        return f"{type(self).__name__} {what}: " + " | ".join(self.log[-5:])


class Mosquitto(_ChildBroker):
    """The distribution's Mosquitto.

    tls: mutual TLS, with the common name of a client's certificate as its user name; without it the listener is plain
    and open, on loopback. acl: an access list file. extra: further lines of configuration. persistence: whether it
    keeps sessions and retained messages over an orderly restart; over a `kill` it keeps what it wrote last.
    """

    _READY = " running"

    def __init__(
        self,
        folder: Path,
        *,
        tls: BrokerTls | None = None,
        acl: Path | None = None,
        port: int | None = None,
        persistence: bool = True,
        extra: Sequence[str] = (),
    ) -> None:
        super().__init__(folder, port=port)
        self._tls = tls
        self._acl = acl
        self._persistence = persistence
        self._extra = tuple(extra)

    @property
    def host(self) -> str:
        """What clients connect to: the certificate's name where there is one."""
        return "localhost" if self._tls else "127.0.0.1"

    @property
    def url(self) -> str:
        """The broker's URL, as configurations name it."""
        return f"{'mqtts' if self._tls else 'mqtt'}://{self.host}:{self.port}"

    def forget(self) -> None:
        """Remove the database."""
        super().forget()
        (self.folder / "mosquitto.db").unlink(missing_ok=True)

    def _command(self, port: int) -> list[str]:
        program = find_mosquitto()
        if program is None:
            raise BrokerError("Mosquitto is not installed (apt install mosquitto)")
        path = self.folder / "mosquitto.conf"
        path.write_text("\n".join(self._config(port)) + "\n")
        return [program, "-c", str(path)]

    def _config(self, port: int) -> list[str]:
        lines = [
            f"listener {port} 127.0.0.1",
            f"allow_anonymous {'false' if self._tls else 'true'}",
            "log_dest stderr",
            "log_type error",
            "log_type warning",
            "log_type notice",
            "log_type information",
            "set_tcp_nodelay true",
            "max_inflight_messages 200",
            "max_queued_messages 100000",
            f"persistence {'true' if self._persistence else 'false'}",
            f"persistence_location {self.folder.resolve()}/",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # else it steps down to a user who may not read the folder
        if self._tls:
            lines += [
                f"cafile {self._tls.ca}",
                f"certfile {self._tls.cert}",
                f"keyfile {self._tls.key}",
                "require_certificate true",
                "use_identity_as_username true",
            ]
        if self._acl:
            lines.append(f"acl_file {self._acl}")
        return [*lines, *self._extra]


class EmbeddedBroker(_ChildBroker):
    """The broker inside the package `iotcore`, for the demonstration only, where there is no Mosquitto."""

    CANNOT: ClassVar[tuple[str, ...]] = (
        "it speaks MQTT 5 only",
        "it does not ask for client certificates, so the connection is plain and on loopback",
        "it has no access list: every client may read and write everything",
        "it keeps nothing over a restart: neither retained messages nor sessions",
    )
    _READY = "listening on"

    def _command(self, port: int) -> list[str]:
        path = self.folder / "iotcore.toml"
        path.write_text(
            f"""id = 0

[router]
id = 0
max_connections = 64
max_outgoing_packet_count = 200
max_segment_size = 16777216
max_segment_count = 10

[v5.1]
name = "v5-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 131072
max_inflight_count = 200
dynamic_filters = true
"""
        )
        # -P keeps a folder called iotcore in the working directory from taking the package's place.
        return [sys.executable, "-P", "-m", "iotcore", "--config", str(path), "--log-level", "CRITICAL"]
