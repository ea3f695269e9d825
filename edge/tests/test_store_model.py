"""Two uplinks drink from one store, held against a model: what each of them has had, and what is there for it."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.store.outbox import Entry, Outbox
from edge.tests.disk_double import copies
from edge.tests.test_store import all_of, balance, disks, store_on

UPLINKS = ("mqtt", "centre")
"""The first has an ingest that acknowledges, the second a broker only."""
LANES = ("transaction", "event", "telemetry")
lane_names = st.sampled_from(LANES)


class StoreModel(RuleBasedStateMachine):
    """`made[lane]` and `had[uplink][lane]` are what the world knows."""

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.session = 0
        self.media = disks()
        self.made: dict[str, dict[int, bytes]] = {name: {} for name in LANES}
        self.waiting: dict[str, dict[int, bytes]] = {name: {} for name in LANES}
        self.had: dict[str, dict[str, set[int]]] = {uplink: {name: set() for name in LANES} for uplink in UPLINKS}
        self.received: dict[str, set[int]] = {name: set() for name in LANES}
        self.open()

    def open(self) -> None:
        self.store = store_on(self.media, segment_bytes=300, quota_bytes=1 << 24, uplinks=UPLINKS)
        self.outbox = {
            uplink: Outbox(
                list(self.store.lanes.values()), uplink=uplink, has_ingest=uplink == "mqtt", on_ahead=self.ahead
            )
            for uplink in UPLINKS
        }
        self.connected = dict.fromkeys(UPLINKS, False)
        self.flying: dict[str, list[Entry]] = {uplink: [] for uplink in UPLINKS}

    def ahead(self, lane: str) -> None:
        raise AssertionError(f"{lane}: nobody is ahead of us")

    @rule(lane=lane_names, size=st.integers(0, 120))
    def append(self, lane: str, size: int) -> None:
        it = self.store.lanes[lane]
        payload = b"%d" % it.next_seq + b"." * size
        self.waiting[lane][it.append(f"{lane}/a", payload)] = payload

    @rule()
    def commit(self) -> None:
        self.store.commit_now()
        for name in LANES:
            self.made[name] |= self.waiting[name]
            self.waiting[name] = {}

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 31.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(uplink=st.sampled_from(UPLINKS))
    def connect_or_break(self, uplink: str) -> None:
        self.connected[uplink] = not self.connected[uplink]
        if self.connected[uplink]:
            self.session += 1
            self.outbox[uplink].connected(self.now, self.session)
        else:
            self.flying[uplink] = []
            self.outbox[uplink].disconnected(self.now)

    @rule(uplink=st.sampled_from(UPLINKS), count=st.integers(1, 8))
    def take(self, uplink: str, count: int) -> None:
        for _ in range(count):
            entry = self.outbox[uplink].take(self.now, 1 << 20)
            if entry is None:
                return
            assert self.made[entry.lane].get(entry.seq) == entry.payload, "only what is made leaves, and as it was made"
            assert entry.seq not in self.had[uplink][entry.lane], "it has had this one"
            assert (entry.lane, entry.seq) not in {(each.lane, each.seq) for each in self.flying[uplink]}
            self.flying[uplink].append(entry)

    @precondition(lambda self: any(self.flying.values()))
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        uplink = data.draw(st.sampled_from([uplink for uplink in UPLINKS if self.flying[uplink]]))
        entry = self.flying[uplink].pop(data.draw(st.integers(0, len(self.flying[uplink]) - 1)))
        if data.draw(st.integers(0, 5)) == 0:
            self.outbox[uplink].refused(entry, self.now)
            return
        self.outbox[uplink].published(entry, self.now)
        if uplink == "mqtt":
            self.received[entry.lane].add(entry.seq)
        else:
            self.had[uplink][entry.lane].add(entry.seq)

    @precondition(lambda self: self.connected["mqtt"])
    @rule(lane=lane_names, is_answer=st.booleans())
    def acknowledge(self, lane: str, is_answer: bool) -> None:
        numbers = self.received[lane]
        upto = next(n for n in range(len(numbers) + 1) if n + 1 not in numbers)
        also = [(n, n) for n in sorted(numbers) if n > upto]
        answers = self.session if is_answer else None
        self.outbox["mqtt"].acknowledged(lane, self.store.lanes[lane].epoch, upto, also, self.now, answers=answers)
        self.had["mqtt"][lane] |= numbers

    @rule(is_orderly=st.booleans())
    def restart(self, is_orderly: bool) -> None:
        """Killed, what was acknowledged in the last seconds may come once more; the ingest says at once what it has."""
        if is_orderly:
            self.commit()
        self.store.close()
        self.media = copies(self.media)
        self.waiting = {name: {} for name in LANES}
        self.open()
        for uplink in UPLINKS:
            for name, lane in self.store.lanes.items():
                known = {seq for seq in self.made[name] if lane.is_acked_by(uplink, seq)}
                assert known <= self.had[uplink][name], "let go of by somebody who has not had it"
                assert not is_orderly or known == self.had[uplink][name]
                self.had[uplink][name] = known

    @invariant()
    def ledger_holds(self) -> None:
        if not hasattr(self, "store"):
            return
        balance(self.store)
        for name, lane in self.store.lanes.items():
            assert lane.made == len(self.made[name])
            assert lane.lost == 0
            assert lane.acked == len(self.had["mqtt"][name] & self.had["centre"][name])

    def teardown(self) -> None:
        """Everything arrives in the end, and the disk is given back."""
        if not hasattr(self, "store"):
            return
        self.restart(is_orderly=True)
        for name, lane in self.store.lanes.items():
            owed = self.made[name].keys() - (self.had["mqtt"][name] & self.had["centre"][name])
            assert owed <= all_of(lane).keys(), "no segment goes before both have let it go"
        for uplink in UPLINKS:
            self.connect_or_break(uplink)
        for _ in range(3):
            self.wait(300.0)
            for uplink in UPLINKS:
                for _ in range(1_000):
                    entry = self.outbox[uplink].take(self.now, 1 << 20)
                    if entry is None:
                        break
                    self.outbox[uplink].published(entry, self.now)
                    (self.received[entry.lane] if uplink == "mqtt" else self.had[uplink][entry.lane]).add(entry.seq)
            for name in LANES:
                self.acknowledge(name, is_answer=True)
        self.commit()
        for lane in self.store.lanes.values():
            assert (lane.queued, lane.acked) == (0, lane.made)
            assert len(lane.journal.segments) <= 1
        self.store.close()


StoreModel.TestCase.settings = settings(
    derandomize=True, deadline=None, max_examples=150, stateful_step_count=50, print_blob=False
)
TestStoreModel = StoreModel.TestCase
