"""Reports on their way into the journal: each once, gone only when the disk has it, none that holds up the others."""

import os
from pathlib import Path

import pytest

from edge.gateway import update_reports as module
from edge.gateway.update_folder import MAX_LOG_BYTES, waiting
from edge.gateway.update_reports import UpdateReports
from edge.store.errors import Cause, StorageError
from edge.tests.test_recorder import Bench as RecorderBench
from protocols.wayside.events import decode_event, update_report_of

LINE = '{{"report":{{"attempt":"{attempt}","device":"rsu-1"}},"keyid":"5f1c","sig":"00"}}\n'


class Bench(RecorderBench):
    """A recorder with its store, and the agent's folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "journal")
        self.folder = folder / "update"
        (self.folder / "reports").mkdir(parents=True)
        self.reports = UpdateReports(self.recorder)

    def put(self, attempt: str, *, log: bytes = b"", line: bytes | None = None) -> None:
        """As the agent does."""
        if log:
            (self.folder / "reports" / f"{attempt}.log").write_bytes(log)
        text = LINE.format(attempt=attempt).encode() if line is None else line
        (self.folder / "reports" / f"{attempt}.json").write_bytes(text)

    async def take(self) -> None:
        await self.reports.take(self.folder)

    def made(self) -> list[tuple[str, str]]:
        """(kind, attempt) of every event that the disk has."""
        made = self.store.lanes["event"].made
        found = []
        for event in self.events()[:made]:
            text = event.data.get("attempt") or update_report_of(event).report.split('"attempt":"')[1].split('"')[0]
            found.append((event.kind, text))
        return found

    def waiting(self) -> list[str]:
        return waiting(self.folder)


@pytest.fixture
async def bench(tmp_path: Path):
    standing = Bench(tmp_path)
    yield standing
    await standing.recorder.aclose()
    standing.store.close()


async def test_each_becomes_an_event_as_it_was_signed_and_its_file_goes(bench: Bench):
    bench.put("9", log=b"cannot reach \xff the broker\n")
    bench.put("10")
    await bench.take()
    assert bench.made() == [("update", "9"), ("update", "10")]
    first, second = map(update_report_of, bench.events())
    assert (first.report, first.log) == (LINE.format(attempt="9"), "cannot reach \ufffd the broker\n")
    assert (second.report, second.log) == (LINE.format(attempt="10"), "")
    assert list((bench.folder / "reports").iterdir()) == []
    await bench.take()
    assert len(bench.made()) == 2


async def test_its_file_stays_until_the_disk_has_the_event(bench: Bench):
    bench.put("1")
    commit, bench.store.commit = bench.store.commit, bench.store.commit

    async def refuse(*_lane: str) -> None:
        raise StorageError("No space left on device", Cause.FULL)

    bench.store.commit = refuse
    for _ in range(3):
        await bench.take()
        assert (bench.made(), bench.waiting()) == ([], ["1"])
    bench.store.commit = commit
    await bench.take()
    assert (bench.made(), bench.waiting()) == ([("update", "1")], []), "one event, however often it was tried"


async def test_a_journal_that_takes_nothing_leaves_all_where_it_is(bench: Bench, caplog: pytest.LogCaptureFixture):
    bench.put("1")
    bench.put("2")
    lane = bench.store.lanes["event"]
    lane.is_full = True
    for _ in range(3):
        await bench.take()
    assert (bench.made(), bench.waiting()) == ([], ["1", "2"])
    assert caplog.text.count("a report waits") == 1
    lane.is_full = False
    await bench.take()
    assert (bench.made(), bench.waiting()) == ([("update", "1"), ("update", "2")], [])


async def test_a_cut_before_the_file_has_gone_repeats_the_event_and_no_more(bench: Bench, monkeypatch):
    bench.put("1")

    def cut(*_any: object) -> bool:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(module, "remove_report", cut)
        with pytest.raises(SystemExit):
            await bench.take()
    assert (bench.made(), bench.waiting()) == ([("update", "1")], ["1"])
    bench.reports = UpdateReports(bench.recorder)  # the next process
    await bench.take()
    assert (bench.made(), bench.waiting()) == ([("update", "1")] * 2, [])
    first, second = bench.events()
    assert first.data == second.data


async def test_a_file_that_cannot_go_makes_no_second_event(bench: Bench, monkeypatch, caplog):
    bench.put("1")
    bench.put("2")

    def refuse(_folder: Path, attempt: str) -> bool:
        if attempt == "1":
            raise OSError(30, "Read-only file system")
        return remove(_folder, attempt)

    remove = module.remove_report
    with monkeypatch.context() as patched:
        patched.setattr(module, "remove_report", refuse)
        for _ in range(3):
            await bench.take()
    assert (bench.made(), bench.waiting()) == ([("update", "1"), ("update", "2")], ["1"])
    assert caplog.text.count("Read-only file system") == 1
    await bench.take()
    assert (len(bench.made()), bench.waiting()) == (2, [])


async def test_while_another_agent_works_its_files_stay_and_no_event_is_repeated(bench: Bench, monkeypatch):
    bench.put("1")
    with monkeypatch.context() as patched:
        patched.setattr(module, "remove_report", lambda *_any: False)
        for _ in range(3):
            await bench.take()
    assert (bench.made(), bench.waiting()) == ([("update", "1")], ["1"])
    await bench.take()
    assert (len(bench.made()), bench.waiting()) == (1, [])


async def test_what_the_disk_has_spoiled_is_declared_once_and_holds_up_no_other(bench: Bench):
    bench.put("1", line=b'{"report":{"attem')
    bench.put("2", line=b"x" * 40_000)
    bench.put("3", log=b"end\n")
    await bench.take()
    await bench.take()
    assert bench.made() == [("report-damaged", "1"), ("report-damaged", "2"), ("update", "3")]
    assert bench.waiting() == []
    damaged = bench.events()[1].data
    assert damaged == {"attempt": "2", "reason": "longer than 32768 bytes", "severity": "warning"}


async def test_one_that_no_message_can_carry_is_declared(bench: Bench):
    line = LINE.format(attempt="1").replace("rsu-1", '\\"' * 16_330)  # 32 KB that are 64 KB as text within JSON
    bench.put("1", line=line.encode(), log=b"x")
    await bench.take()
    assert (bench.made(), bench.waiting()) == ([("report-damaged", "1")], [])
    assert "are the most" in bench.events()[0].data["reason"]


async def test_of_a_log_that_json_makes_too_long_the_end_is_kept(bench: Bench):
    bench.put("1", log=b"\0" * MAX_LOG_BYTES + b"end")
    await bench.take()
    log = update_report_of(bench.events()[0]).log
    assert len(log) > 4_000
    assert log.strip("\0") == "end"


async def test_one_that_cannot_be_read_waits_and_is_said_once(bench: Bench, caplog: pytest.LogCaptureFixture):
    os.mkfifo(bench.folder / "reports" / "1.json")
    bench.put("2")
    for _ in range(3):
        await bench.take()
    assert (bench.made(), bench.waiting()) == ([("update", "2")], ["1"])
    assert caplog.text.count("not a plain file") == 1


async def test_an_epoch_that_ends_meanwhile_costs_no_report(bench: Bench, monkeypatch):
    bench.put("1")
    with monkeypatch.context() as patched:
        patched.setattr(module, "remove_report", lambda *_any: False)
        await bench.take()
    await bench.store.renew_epoch("event")
    await bench.take()
    assert bench.waiting() == ["1"], "what the old epoch had may never arrive"
    await bench.take()
    assert bench.waiting() == []
    assert decode_event(bench.records("event")[-1].payload).kind == "update"
