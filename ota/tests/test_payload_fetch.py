"""A blob over bad lines: every block once, none that is wrong, and a clear word about what went wrong."""

import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from ota.errors import OtaError, RefusedError, Rule
from ota.payload.blocks import block_list
from ota.payload.fetch import Fetch
from ota.payload.limits import ACCOUNT, DAY_S, DailyBudget, SpeedLimit
from ota.payload.source import FolderSource, HttpSource, InterruptedFetchError
from ota.storage import PosixStorage, replace, with_check, without_check
from ota.targets import BLOCK_BYTES, Blob
from ota.testing.web_double import Faults, WebDouble

DATA = random.Random(4).randbytes(5 * BLOCK_BYTES + 1234)
BLOCKS = block_list([DATA])
SHA = hashlib.sha256(DATA).hexdigest()
BLOB = Blob(codec="none", length=len(DATA), sha256=SHA, blocks=hashlib.sha256(BLOCKS).hexdigest())
NAME = f"blobs/{SHA}"


@pytest.fixture
def web() -> Iterator[WebDouble]:
    double = WebDouble()
    double.files = {NAME: DATA, f"{NAME}.blocks": BLOCKS}
    with double.serving():
        yield double


class Device:
    """A disk, a clock and a wish."""

    def __init__(self, folder: Path) -> None:
        self.storage = PosixStorage(folder)
        self.storage.open()
        self.now = 0.0
        self.wall = 20_000 * DAY_S + 100.0
        self.bytes_a_day: int | None = None
        self.attempts_a_day = 50
        self.bytes_per_s: int | None = None
        self.is_cancelled = False
        self.is_synchronised = False
        self.seen: list[int] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def budget(self) -> DailyBudget:
        """As a process finds it that has just started."""
        return DailyBudget(
            self.storage,
            bytes_a_day=self.bytes_a_day,
            attempts_a_day=self.attempts_a_day,
            wall_s=lambda: self.wall,
            is_synchronised=lambda: self.is_synchronised,
        )

    def fetch(self) -> Fetch:
        """As a process does that has just started."""
        speed = SpeedLimit(self.bytes_per_s, monotonic=lambda: self.now, sleep=self.sleep)
        fetch = Fetch(
            self.storage,
            BLOB,
            budget=self.budget(),
            speed=speed,
            is_cancelled=lambda: self.is_cancelled,
            progress=lambda done, _all: self.seen.append(done),
        )
        fetch.resume()
        return fetch

    def run(self, *urls: str) -> Fetch:
        fetch = self.fetch()
        with ExitStack() as used:
            fetch.run([used.enter_context(closing(HttpSource(url))) for url in urls])
        return fetch

    def has(self) -> bool:
        fetch = self.fetch()
        return fetch.is_complete and self.storage.read(fetch.part) == DATA


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def test_a_blob_comes_whole_and_once(device: Device, web: WebDouble):
    assert device.run(web.url).missing_bytes == 0
    assert device.has()
    assert [path for path, _range in web.asked] == [f"{NAME}.blocks", NAME]
    assert device.seen == [*range(BLOCK_BYTES, 6 * BLOCK_BYTES, BLOCK_BYTES), len(DATA)]
    device.run(web.url)
    assert len(web.asked) == 2, "nothing is asked for that is there"


def test_a_line_that_drops_at_each_block_costs_no_verified_block_twice(device: Device, web: WebDouble):
    """A process each time, as after a reboot."""
    web.faults = Faults(drop_after=BLOCK_BYTES + 1000)
    device.attempts_a_day = 100
    for have in range(1, 6):
        with pytest.raises(InterruptedFetchError, match=r"^network: http://127\.0\.0\.1:\d+/blobs/"):
            device.run(web.url)
        assert device.fetch().missing_bytes == len(DATA) - have * BLOCK_BYTES
    device.run(web.url)
    assert device.has()
    starts = [int(wanted.removeprefix("bytes=").partition("-")[0]) for path, wanted in web.asked if path == NAME]
    assert starts == [n * BLOCK_BYTES for n in range(6)]


@pytest.mark.parametrize(
    ("faults", "why"),
    [
        (Faults(status=503), "the server says 503"),
        (Faults(status=429), "the server says 429"),
        (Faults(is_other_range=True), "sends another part than was asked for"),
        (Faults(is_portal=True), "a web page instead of the file"),
        (Faults(drop_after=100), "http://"),
        (Faults(is_short=True), "http://"),
        (Faults(flip_at=3 * BLOCK_BYTES), "block 3 is not what the metadata names"),
        (Faults(is_endless=True), "block 0 is not what the metadata names"),
    ],
)
def test_what_may_pass_is_interrupted_and_goes_on_when_it_has_passed(
    device: Device, web: WebDouble, faults: Faults, why: str
):
    web.faults_at = {1: faults}
    if faults.is_endless:
        web.files[NAME] = b""
    with pytest.raises(InterruptedFetchError, match=why) as caught:
        device.run(web.url)
    assert "\n" not in str(caught.value)
    assert "0x" not in str(caught.value)
    web.files[NAME] = DATA
    device.run(web.url)
    assert device.has()


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_will_never_be_is_asked_for_once(device: Device, web: WebDouble, status: int):
    web.faults_at = {1: Faults(status=status)}
    with pytest.raises(RefusedError, match=f"the server says {status}") as caught:
        device.run(web.url)
    assert caught.value.rule is Rule.NETWORK
    assert len(web.asked) == 2


def test_a_server_without_ranges_serves_too_and_is_paid_in_full(device: Device, web: WebDouble):
    device.bytes_a_day = len(DATA) + 2 * BLOCK_BYTES
    web.faults_at = {1: Faults(drop_after=3 * BLOCK_BYTES)}
    with pytest.raises(InterruptedFetchError):
        device.run(web.url)
    web.faults = Faults(has_ranges=False)
    web.faults_at = {}
    with pytest.raises(RefusedError, match=r"^budget: .* bytes of today are used up$"):
        device.run(web.url)
    device.wall += DAY_S
    device.run(web.url)
    assert device.has()


def test_the_next_mirror_goes_on_where_the_first_failed(device: Device, web: WebDouble):
    other = WebDouble()
    other.files = web.files
    web.faults = Faults(flip_at=2 * BLOCK_BYTES)
    with other.serving():
        device.run("http://wayside.invalid", web.url, other.url)
    assert device.has()
    assert other.asked == [(NAME, f"bytes={2 * BLOCK_BYTES}-{len(DATA) - 1}")]


@pytest.mark.parametrize("url", ["http://wayside.invalid", "http://127.0.0.1:9"])
def test_no_name_and_no_server_are_said_in_words(device: Device, url: str):
    with pytest.raises(InterruptedFetchError, match=f"^network: {url}/blobs") as caught:
        device.run(url)
    assert len(str(caught.value)) < 240
    assert "object" not in str(caught.value)


def test_a_file_that_becomes_another_under_way_is_noticed_at_its_first_block(device: Device, web: WebDouble):
    """What a changed entity tag would tell is told by the blocks themselves, whatever a server says of its files."""
    web.faults_at = {1: Faults(drop_after=2 * BLOCK_BYTES)}
    with pytest.raises(InterruptedFetchError):
        device.run(web.url)
    web.files[NAME] = random.Random(9).randbytes(len(DATA))
    with pytest.raises(InterruptedFetchError, match=r"^hash: .*: block 2 is not what the metadata names$"):
        device.run(web.url)
    web.files[NAME] = DATA
    device.run(web.url)
    assert device.has()


def test_a_stick_finishes_what_the_radio_began(device: Device, web: WebDouble, tmp_path: Path):
    web.faults = Faults(drop_after=2 * BLOCK_BYTES + 5)
    with pytest.raises(InterruptedFetchError):
        device.run(web.url)
    stick = tmp_path / "stick"
    (stick / "blobs").mkdir(parents=True)
    (stick / NAME).write_bytes(bytes(2 * BLOCK_BYTES) + DATA[2 * BLOCK_BYTES :])
    fetch = device.fetch()
    fetch.run([FolderSource(stick)])
    assert device.has()
    with pytest.raises(RefusedError, match="it is not there"):
        Device(tmp_path / "new").fetch().run([FolderSource(tmp_path / "no stick")])


def test_what_rots_on_the_disk_is_fetched_again_and_nothing_else(device: Device, web: WebDouble):
    fetch = device.run(web.url)
    device.storage.write(fetch.part, 4 * BLOCK_BYTES + 7, b"rot")
    web.asked.clear()
    device.run(web.url)
    assert device.has()
    assert web.asked == [(NAME, f"bytes={4 * BLOCK_BYTES}-{5 * BLOCK_BYTES - 1}")]


@pytest.mark.parametrize("ending", ["map", "blocks", "part"])
@pytest.mark.parametrize("harm", ["gone", "cut", "zeros", "ones"])
def test_any_of_its_files_damaged_ends_in_the_right_blob(device: Device, web: WebDouble, ending: str, harm: str):
    web.faults_at = {1: Faults(drop_after=3 * BLOCK_BYTES)}
    with pytest.raises(InterruptedFetchError):
        device.run(web.url)
    name = f"fetch/{SHA}.{ending}"
    size = device.storage.size(name)
    if harm == "gone":
        device.storage.remove(name)
    elif harm == "cut":
        device.storage.truncate(name, size // 2)
    else:
        device.storage.write(name, 0, (b"\0" if harm == "zeros" else b"\xff") * size)
    device.run(web.url)
    assert device.has()


def test_a_day_costs_no_more_than_it_may_whatever_starts_again(device: Device, web: WebDouble):
    device.bytes_a_day = 2 * BLOCK_BYTES
    device.attempts_a_day = 1_000
    web.faults = Faults(drop_after=100_000)
    came = 0
    for _start in range(30):
        asked = len(web.asked)
        with pytest.raises(OtaError):
            device.run(web.url)
        came += sum(100_000 if path == NAME else len(BLOCKS) for path, _range in web.asked[asked:])
    assert came <= device.bytes_a_day
    assert not device.has()


def test_a_run_that_has_ended_has_cost_what_came_and_nothing_in_advance(device: Device, web: WebDouble):
    """The agent is started for each poll: what it had set aside and not used must not add up."""
    device.bytes_a_day = 40 * BLOCK_BYTES
    device.run(web.url)
    device.fetch().clean()
    device.run(web.url)
    assert device.has()
    came = 2 * (len(DATA) + len(BLOCKS))
    with pytest.raises(RefusedError, match="bytes of today are used up"):
        device.budget().spend(device.bytes_a_day - came + 1, "more than is left")
    device.budget().spend(device.bytes_a_day - came, "the rest of the day")


def test_attempts_of_a_day_end_and_another_day_brings_more_but_a_clock_set_back_none(device: Device, web: WebDouble):
    web.faults = Faults(status=503)
    device.attempts_a_day = 3
    for _ in range(3):
        with pytest.raises(InterruptedFetchError):
            device.run(web.url)
    device.wall -= 3 * DAY_S
    with pytest.raises(RefusedError, match="all 3 attempts of today are used up"):
        device.run(web.url)
    assert len(web.asked) == 3
    device.wall += 4 * DAY_S
    web.faults = Faults()
    device.run(web.url)
    assert device.has()


def test_a_clock_that_was_far_ahead_once_does_not_end_all_updates_once_it_is_right_again(device: Device):
    device.attempts_a_day, device.bytes_a_day = 3, 1_000
    for _ in range(2):
        device.budget().begin_attempt("before")
    device.wall += 9_000 * DAY_S
    for _ in range(3):
        device.budget().begin_attempt("in the wrong day")
    device.budget().spend(1_000, "in the wrong day")
    device.wall -= 9_000 * DAY_S
    device.is_synchronised = True
    with pytest.raises(RefusedError, match="all 3 attempts of today are used up"):
        device.budget().begin_attempt("the same day: what the wrong one has cost counts for it")
    device.wall += DAY_S
    for _ in range(3):
        device.budget().begin_attempt("the next day")
    device.budget().spend(1_000, "the next day")


def test_a_clock_that_steps_back_and_forth_buys_no_day_twice(device: Device):
    """Ahead while nobody vouches for it, right while somebody does, and ahead again."""
    device.attempts_a_day, device.bytes_a_day = 3, 1_000
    right, came = device.wall, 0
    for step in range(20):
        device.is_synchronised = step % 2 == 0
        device.wall = right if device.is_synchronised else right + 9_000 * DAY_S
        for _ in range(4):
            try:
                budget = device.budget()
                budget.begin_attempt("")
                budget.spend(500, "")
                budget.settle()
            except RefusedError:
                continue
            came += 500
    assert came == 2 * device.bytes_a_day, "that of the true day and that of the wrong one"


def test_an_older_release_reads_the_account_and_a_newer_one_the_older_ones(device: Device):
    device.budget().begin_attempt("")
    today = int(device.wall // DAY_S)
    assert json.loads(without_check(device.storage.read(ACCOUNT))) == [today, 0, 1]
    device.attempts_a_day = 5
    replace(device.storage, ACCOUNT, with_check(json.dumps([today, 0, 4]).encode()))
    device.budget().begin_attempt("the fifth")
    with pytest.raises(RefusedError, match="all 5 attempts of today are used up"):
        device.budget().begin_attempt("the sixth")


def test_a_speed_limit_is_kept(device: Device, web: WebDouble):
    device.bytes_per_s = 100_000
    device.run(web.url)
    assert len(DATA) / 100_000 - 2 < device.now < len(DATA) / 100_000 + 2


def test_what_drips_is_given_up(device: Device, web: WebDouble, monkeypatch: pytest.MonkeyPatch):
    web.faults_at = {1: Faults(drip_s=0.001)}
    took = SpeedLimit.took

    def slowly(self: SpeedLimit, size: int) -> None:
        took(self, size)
        device.now += 30 if size < 100 else 0

    monkeypatch.setattr(SpeedLimit, "took", slowly)
    with pytest.raises(InterruptedFetchError, match=r"bytes in a minute: given up$"):
        device.run(web.url)


def test_a_cancelled_plan_stops_between_two_blocks_and_asks_for_nothing_more(device: Device, web: WebDouble):
    class Seen(list[int]):
        def append(self, done: int) -> None:
            super().append(done)
            device.is_cancelled = done >= 2 * BLOCK_BYTES

    device.seen = Seen()
    fetch = device.fetch()
    with closing(HttpSource(web.url)) as source:
        with pytest.raises(RefusedError) as caught:
            fetch.run([source])
        assert caught.value.rule is Rule.CANCELLED
        asked = len(web.asked)
        with pytest.raises(RefusedError):
            fetch.run([source])
        assert len(web.asked) == asked
    device.is_cancelled = False
    assert device.fetch().missing_bytes == len(DATA) - 2 * BLOCK_BYTES


def test_an_address_is_told_without_its_secrets():
    assert HttpSource("https://user:secret@host/x?token=secret").name == "https://host/x"


def test_cleaned_away_it_begins_anew(device: Device, web: WebDouble):
    fetch = device.run(web.url)
    fetch.clean()
    assert device.storage.list("fetch") == ["account"]
    assert device.fetch().missing_bytes == len(DATA)
