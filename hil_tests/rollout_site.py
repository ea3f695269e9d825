"""The operator's side for tests of rollouts: a signed repository, a broker, the engine as a process, two people."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import aiomqtt
import zstandard

from edge.deploy import __file__ as deploy_package
from edge.identity.development_ca import DevelopmentCa
from edge.identity.operator_keys import OperatorKey
from emulators.broker import BrokerTls, Mosquitto
from hil_tests.rollout_fleet import FAMILY, HARDWARE, NEW, OLD, FleetDevice, Site, credentials
from ota.campaign.published import Published
from ota.campaign.store import campaigns, courses
from ota.campaign.store.database import open_database
from ota.targets import decode_image_info
from ota.testing.web_double import WebDouble
from tools.demo.parts import Part
from tools.tests.ota_repositories import PASSPHRASE, Desk, done, release_words, source

PEOPLE = ("li", "wang")
CAMPAIGN = f"""
name = "gateway-1.2"
target = "{NEW}"

[[stage]]
percent = 20
soak_s = 2
patience_s = 600

[[stage]]
percent = 100
soak_s = 2
patience_s = 600

[gate]
tolerated = 0.01
confidence = 0.999
min_sample = 6
min_failures = 3

[when]
jitter_s = 0
"""


class RolloutSite:
    """Enter it as a context; then `fill` it with devices and `serve`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "repository"
        self.devices: list[FleetDevice] = []
        self.web = WebDouble()
        self._threads = ThreadPoolExecutor(2)
        self._lives: list[asyncio.Task[None]] = []
        program = (  # what waits minutes in the field, a test does not
            "import sys\nimport ota.campaign.engine.engine as engine\nengine.SETTLE_S = 1\n"
            "import tools.rollouts.link as link\nlink.PAUSE_S = 0.2\nlink.RECONNECT_CAP_S = 1.0\n"
            "from tools.cli import main\nsys.argv[0] = 'wayside'\nmain()"
        )
        words = ["ota", "campaign", "serve", "--config", str(folder / "rollouts.toml"), "--json"]
        self.engine = Part("rollouts", [sys.executable, "-c", program, *words], folder / "rollouts.log")

    async def __aenter__(self) -> Self:
        now = datetime.now(UTC)
        self.ca = DevelopmentCa.create(self.folder / "pki", now=now)
        server = self.ca.issue_server("localhost", now=now)
        credentials(self.ca, ["rollout", "control"])
        (self.folder / "broker").mkdir()
        self.broker = Mosquitto(
            self.folder / "broker",
            tls=BrokerTls(ca=self.ca.ca, cert=server.cert, key=server.key),
            acl=Path(deploy_package).parent / "mosquitto.acl",
        )
        await self.broker.start()
        await asyncio.to_thread(self._publish)
        for name in (*PEOPLE, "commands"):
            OperatorKey.new().write(self.folder / f"{name}.pem", self.folder / f"{name}.pub")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for life in self._lives:
            life.cancel()
        for life in self._lives:
            with suppress(asyncio.CancelledError):
                await life
        if self.engine.process is not None:
            self.engine.process.kill()
            await self.engine.process.communicate()
        self._threads.shutdown()
        if self.broker.is_running:
            await self.broker.stop()

    def _publish(self) -> None:
        """Two releases, signed and published."""
        (self.folder / "holders").mkdir()
        self.desk = desk = Desk(self.folder / "holders")
        desk.begun(self.repository)
        for number in (1, 2):
            folder = source(self.folder / f"source-{number}", f"VERSION = {number}\n")
            done(*release_words(self.repository, folder, number, family=FAMILY, hardware=HARDWARE))
            desk.sign(self.repository, "alice", "bob")
            desk.publish(self.repository)
        public = self.repository / "public"
        files = [path for path in public.rglob("*") if path.is_file()]
        self.web.files = {str(path.relative_to(public)): path.read_bytes() for path in files}

    def configure(self, port: int = 0) -> None:
        """`rollouts.toml`."""
        (self.folder / "director.passphrase").write_text(PASSPHRASE)
        (self.folder / "director.passphrase").chmod(0o600)
        pki = self.folder / "pki"
        people = "".join(f'[person.{name}]\nkey = "{name}.pub"\n' for name in PEOPLE)
        (self.folder / "rollouts.toml").write_text(f"""
database = "sqlite:///rollouts.db"
repository = "repository"
[director]
key = "holders/server/server-director.key"
passphrase_file = "director.passphrase"
listen = "127.0.0.1:{port}"
[broker]
url = "{self.broker.url}"
ca = "{self.ca.ca}"
certificate = "{pki}/rollout.pem"
private_key = "{pki}/rollout.key"
signing_key = "commands.pem"
{people}
""")

    async def serve(self, port: int = 0) -> None:
        """Start the engine; it says where its Director is. port: of the Director, where devices know it already."""
        self.configure(port)
        await self.engine.start()
        (ready,) = await self.engine.first_lines(1)
        assert ready["ready"], ready
        self.director = f"http://{ready['director']}"
        self.port = int(ready["director"].rpartition(":")[2])

    async def fill(
        self, models: dict[str, int], *, is_well: Callable[[str, str], bool], poll_s: float = 3600.0
    ) -> None:
        """Build devices, by model, and tell the operator's side of them. is_well: (model, version)."""
        image = Published(self.repository).listed()[OLD]
        sha256 = image.hashes["sha256"]
        public = self.repository / "public"
        site = Site(
            director=self.director,
            images=self.web.url,
            director_root=(public / "director/1.root.json").read_bytes(),
            image_root=(public / "metadata/1.root.json").read_bytes(),
            first=_image_of(public, image.custom),
            first_sha256=sha256,
            command_key=OperatorKey.read(self.folder / "commands.pem").public_bytes,
        )
        (self.folder / "devices").mkdir(exist_ok=True)
        for model, number in models.items():
            for index in range(number):
                well = _of_model(is_well, model)
                one = FleetDevice(
                    f"{model}-{index:03}", model, self.folder / "devices", site, is_well=well, poll_s=poll_s
                )
                self.devices.append(one)
        await asyncio.to_thread(lambda: [one.build() for one in self.devices])
        await asyncio.to_thread(credentials, self.ca, [one.name for one in self.devices])
        (self.folder / "fleet.jsonl").write_text("".join(json.dumps(one.row) + "\n" for one in self.devices))
        answer = await self.wayside("ota", "fleet", "import", str(self.folder / "fleet.jsonl"))
        assert answer["added"] == len(self.devices)

    def live(self) -> None:
        """Every device goes on the air."""
        self._lives += [asyncio.create_task(one.live(self.client, self._threads)) for one in self.devices]

    def client(self, name: str) -> aiomqtt.Client:
        """A connection as one of the broker's clients; the broker keeps what it is told for a device that is away."""
        pki = self.folder / "pki"
        return aiomqtt.Client(
            self.broker.host,
            self.broker.port,
            identifier=name,
            tls_params=aiomqtt.TLSParameters(
                ca_certs=str(self.ca.ca), certfile=str(pki / f"{name}.pem"), keyfile=str(pki / f"{name}.key")
            ),
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=False,
            timeout=20,
        )

    async def begin(self, campaign: str = CAMPAIGN) -> None:
        """One makes it, the other approves it."""
        (self.folder / "campaign.toml").write_text(campaign)
        li, wang = (str(self.folder / f"{name}.pem") for name in PEOPLE)
        await self.wayside("ota", "campaign", "new", str(self.folder / "campaign.toml"), "--key", li)
        await self.wayside("ota", "campaign", "approve", "gateway-1.2", "--key", wang)

    async def wayside(self, *words: str) -> dict[str, Any]:
        """A command that must succeed."""
        code, out, said = await self.command(*words, "--json")
        assert code == 0, (words, out, said)
        answer: dict[str, Any] = json.loads(out.splitlines()[-1])
        return answer

    async def command(self, *words: str) -> tuple[int, str, str]:
        """Any command of `ota campaign` and `ota fleet`."""
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "tools.cli", *words, "--config", str(self.folder / "rollouts.toml")],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, said = await process.communicate()
        return process.returncode or 0, out.decode(), said.decode()

    async def standing(self) -> dict[str, Any]:
        """The campaign as `show --json` tells it."""
        return await self.wayside("ota", "campaign", "show", "gateway-1.2")

    def kept(self) -> campaigns.Kept:
        """The campaign as it lies in the database: a process to ask for it costs more than a device's whole update."""
        database = open_database(f"sqlite:///{self.folder / 'rollouts.db'}")
        try:
            with database.reading() as connection:
                found = campaigns.get(connection, "gateway-1.2")
        finally:
            database.close()
        assert found is not None, "it was made before"
        return found

    def is_quiet(self) -> bool:
        """Nobody is on the way there or back."""
        database = open_database(f"sqlite:///{self.folder / 'rollouts.db'}")
        try:
            with database.reading() as connection:
                states = ("told", "reached", "retrying", "confirmed", "reverting")
                return not courses.in_states(connection, "gateway-1.2", states, 1)
        finally:
            database.close()

    async def until(self, condition: Callable[[campaigns.Kept], bool], within_s: float) -> campaigns.Kept:
        """Wait until the campaign stands so."""
        try:
            async with asyncio.timeout(within_s):
                while not condition(kept := await asyncio.to_thread(self.kept)):
                    await asyncio.sleep(0.3)
                return kept
        except TimeoutError:
            raise AssertionError((await self.standing(), self.engine.last_words())) from None


@asynccontextmanager
async def rollout_site(folder: Path) -> AsyncIterator[RolloutSite]:
    """A site that serves, without devices yet."""
    site = RolloutSite(folder)
    with site.web.serving():
        async with site:
            await site.serve()
            yield site


def _of_model(is_well: Callable[[str, str], bool], model: str) -> Callable[[str], bool]:
    return lambda version: is_well(model, version)


def _image_of(public: Path, custom: Any) -> bytes:
    """An image, out of its blob."""
    (blob,) = (each for each in decode_image_info(custom, OLD).full if each.codec == "zstd")
    return zstandard.ZstdDecompressor().decompress((public / "blobs" / blob.sha256).read_bytes())
