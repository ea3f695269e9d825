"""The later hand wins, a trial that does not reach the uplink is taken back, and three good configurations are kept."""

import contextlib
import errno
import json

import pytest

from edge.gateway import config_history
from edge.gateway.config_history import KEPT_GOOD, ConfigHistory, HistoryError
from edge.gateway.durable import encode_kept

OLD, NEW, PUSHED = b"# old\n", b"# new\n", b"# pushed\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "node.toml"
    path.write_bytes(OLD)
    return path


def opened(tmp_path, file) -> tuple[ConfigHistory, bytes]:
    history = ConfigHistory(tmp_path / "config", file)
    return history, history.open()


def test_the_file_is_what_runs_first(tmp_path, file):
    history, document = opened(tmp_path, file)
    assert document == OLD
    assert history.state.outcome == "running"


def test_a_pushed_document_holds_over_restarts_until_the_file_is_edited(tmp_path, file):
    history, _ = opened(tmp_path, file)
    history.confirm(OLD)
    history.take_up(PUSHED, version=7, is_on_trial=True)
    history.confirm(PUSHED)
    history, document = opened(tmp_path, file)
    assert document == PUSHED
    assert history.state.version == 7
    file.write_bytes(NEW)
    assert opened(tmp_path, file)[1] == NEW


def test_a_trial_cut_short_by_a_restart_is_rolled_back(tmp_path, file):
    history, _ = opened(tmp_path, file)
    history.confirm(OLD)
    history.take_up(PUSHED, version=7, is_on_trial=True)
    history, document = opened(tmp_path, file)
    assert document == OLD
    assert history.state.outcome == "rolled-back"
    assert history.state.version == 7


def test_an_edited_file_that_lost_the_uplink_is_not_taken_up_again_until_it_is_edited_once_more(tmp_path, file):
    history, _ = opened(tmp_path, file)
    history.confirm(OLD)
    file.write_bytes(NEW)
    history.take_up(NEW, version=None, is_on_trial=True)
    assert history.roll_back("the uplink was not reached") == OLD
    assert opened(tmp_path, file)[1] == OLD
    file.write_bytes(NEW + b"# mended\n")
    assert opened(tmp_path, file)[1] == NEW + b"# mended\n"


def test_the_last_three_good_ones_are_kept(tmp_path, file):
    history, _ = opened(tmp_path, file)
    for n in range(6):
        history.take_up(b"# %d\n" % n, version=n, is_on_trial=True)
        history.confirm(b"# %d\n" % n)
        history.confirm(b"# %d\n" % n)
    assert [history.good(age) for age in range(1, KEPT_GOOD + 1)] == [b"# 5\n", b"# 4\n", b"# 3\n"]
    assert history.good(KEPT_GOOD + 1) is None


def test_a_missing_file_is_no_reason_to_stay_down_when_a_good_one_is_kept(tmp_path, file):
    history, _ = opened(tmp_path, file)
    history.confirm(OLD)
    file.unlink()
    assert opened(tmp_path, file)[1] == OLD


def test_nothing_at_all_is_said_plainly(tmp_path):
    with pytest.raises(HistoryError, match=r"node\.toml"):
        opened(tmp_path, tmp_path / "node.toml")


@pytest.mark.parametrize(
    "rubbish", [b"", b"{", b"[]", b"\xff", b'{"reason":"\xff"}', b'{"outcome":"runnifg"}', b'{"version":-1}']
)
def test_a_damaged_state_is_begun_anew(tmp_path, file, rubbish):
    opened(tmp_path, file)
    (tmp_path / "config" / "state.json").write_bytes(rubbish)
    assert opened(tmp_path, file)[1] == OLD


def test_an_outcome_that_only_a_newer_release_knows_loses_nothing_else(tmp_path, file):
    """Above all not the number below which nothing that was pushed is taken any more."""
    history, _ = opened(tmp_path, file)
    ran_well(history, OLD, PUSHED)
    state = tmp_path / "config" / "state.json"
    said = json.loads(state.read_bytes().partition(b"\n")[0]) | {"outcome": "waits-for-the-tide", "rings": 3}
    state.write_bytes(encode_kept(said))
    history, document = opened(tmp_path, file)
    assert document == PUSHED
    assert (history.state.version, history.state.outcome) == (2, "refused")
    assert "waits-for-the-tide" in history.state.reason


def test_a_refused_change_leaves_what_runs(tmp_path, file):
    history, _ = opened(tmp_path, file)
    history.confirm(OLD)
    history.refuse("unknown key", version=9)
    history, document = opened(tmp_path, file)
    assert document == OLD
    assert (history.state.outcome, history.state.reason, history.state.version) == ("refused", "unknown key", 9)


# What the disk does to the good ones


def good_ones(history: ConfigHistory) -> list[bytes | None]:
    return [history.good(age) for age in range(1, KEPT_GOOD + 1)]


def ran_well(history: ConfigHistory, *documents: bytes) -> None:
    for version, document in enumerate(documents, 1):
        history.take_up(document, version=version, is_on_trial=True)
        history.confirm(document)


def test_a_bit_that_turned_is_seen_although_what_is_left_is_a_configuration(tmp_path, file, caplog):
    """Row 17 of docs/field_failures.md."""
    history, _ = opened(tmp_path, file)
    ran_well(history, OLD, NEW, PUSHED)
    newest = tmp_path / "config" / "good-1.toml"
    newest.write_bytes(PUSHED.replace(b"p", b"q"))
    history, document = opened(tmp_path, file)
    assert (document, good_ones(history)) == (NEW, [None, NEW, OLD])
    assert [record.getMessage() for record in caplog.records] == [
        f"configuration: {newest} is damaged and is passed over"
    ]
    history.confirm(NEW)
    assert good_ones(opened(tmp_path, file)[0]) == [NEW, OLD, OLD]


def test_a_data_folder_of_a_version_without_hashes_starts_and_has_them_from_then_on(tmp_path, file):
    history, _ = opened(tmp_path, file)
    ran_well(history, OLD, NEW, PUSHED)
    state = tmp_path / "config" / "state.json"
    kept = json.loads(state.read_bytes().splitlines()[0])
    del kept["good_sha256"]
    state.write_text(json.dumps(kept))
    history, document = opened(tmp_path, file)
    assert (document, good_ones(history)) == (PUSHED, [PUSHED, NEW, OLD])
    history.confirm(PUSHED)
    (tmp_path / "config" / "good-2.toml").write_bytes(b"# nev\n")
    assert good_ones(opened(tmp_path, file)[0]) == [PUSHED, None, OLD]


@pytest.mark.parametrize("writes", range(6))
def test_power_that_fails_while_the_good_ones_move_up_leaves_all_of_them_whole(tmp_path, file, monkeypatch, writes):
    history, _ = opened(tmp_path, file)
    ran_well(history, b"# 1\n", OLD, NEW)
    history.take_up(PUSHED, version=9, is_on_trial=True)
    left, replace = iter(range(writes)), config_history.replace_file

    def until_the_power_fails(path, data) -> None:
        if next(left, None) is None:
            raise OSError(errno.EIO, "power")
        replace(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(config_history, "replace_file", until_the_power_fails)
        with contextlib.suppress(HistoryError):
            history.confirm(PUSHED)
    history, document = opened(tmp_path, file)
    kept = good_ones(history)
    assert None not in kept
    assert document == kept[0] == (PUSHED if writes >= 4 else NEW)


def test_one_that_comes_back_stands_once_among_the_good_ones(tmp_path, file):
    history, _ = opened(tmp_path, file)
    ran_well(history, OLD, NEW, PUSHED, NEW, PUSHED)
    assert good_ones(history) == [PUSHED, NEW, OLD]
