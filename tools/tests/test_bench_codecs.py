"""The benchmark of the codecs measures every row, judges it, and keeps to its own part of the page."""

import json
import subprocess
import sys

import msgspec
import pytest
import typer

from tools.bench import codec_peers, codec_rates, codec_rows, report
from tools.bench.codec_peers import PEERS
from tools.bench.codec_rates import VECTORS, flood_rows, frames_of, part, race, speed_rows
from tools.bench.codec_rows import CODECS
from tools.bench.report import with_part

FLOODS = flood_rows(as_json=False)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.cli", "bench", "codecs", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("name", speed_rows())
def test_every_codec_is_measured(name):
    result = speed_rows()[name](1, True)
    assert result["name"] == name
    assert result["least"] <= result["ours"] <= result["most"]
    assert result["ours"] > 100
    peer = PEERS.get(name)
    assert (result["against"], result["goal"]) == (("", "") if peer is None else (peer.name, peer.goal))
    assert (result["other"] is None) == (result["ratio"] is None) == (peer is None)
    assert (result["met"] is None) == (peer is None or peer.least_ratio is None)


@pytest.mark.parametrize("name", FLOODS)
def test_every_framer_keeps_its_ceiling(name):
    result = FLOODS[name](1, True)
    assert result["met"]
    assert 0 < result["ours"] <= result["beside"]["at its peak, B"]


def test_every_file_of_vectors_has_its_codec():
    assert {codec.vectors for codec in CODECS} == {file.stem for file in VECTORS.glob("*.json")}


def test_every_peer_has_its_row():
    assert set(PEERS) <= set(speed_rows())


@pytest.mark.parametrize("peer", [peer for peer in PEERS.values() if peer.least_ratio], ids=lambda peer: peer.name)
def test_a_goal_can_be_met_and_missed(peer, monkeypatch):
    (name,) = (name for name, row in PEERS.items() if row is peer)
    met = {}
    for ratio in (peer.least_ratio * 1.01, peer.least_ratio * 0.99):
        monkeypatch.setattr(codec_rates, "race", lambda _works, _slice_s, ratio=ratio: [ratio, 1.0])
        met[speed_rows()[name](3, True)["met"]] = ratio
    assert list(met) == [True, False]


def test_a_race_gives_each_its_own_rate():
    slow, fast = race([(lambda item: sum(range(item)), [2_000]), (lambda item: sum(range(item)), [20] * 10)], 0.005)
    assert fast > 5 * slow


def test_a_frame_that_does_not_come_back_is_told(monkeypatch, capsysbinary):
    (codec,) = (codec for codec in CODECS if codec.name == "hj212")
    broken = msgspec.structs.replace(codec, encode=lambda _message: b"")
    with pytest.raises(AssertionError, match="does not come back"):
        frames_of(broken)
    monkeypatch.setattr(codec_rows, "CODECS", (broken,))
    with pytest.raises(typer.Exit) as ended:
        codec_rates.bench_codecs(["hj212-encode"], repeat=1, is_quick=True, write=None, as_json=True)
    assert ended.value.exit_code == 1
    assert "does not come back" in json.loads(capsysbinary.readouterr().out)["reason"]


def test_a_peer_that_is_missing_is_named(monkeypatch):
    gone = msgspec.structs.replace(PEERS["nmea0183-decode"], module="no_such_library")
    monkeypatch.setattr(codec_peers, "PEERS", {"nmea0183-decode": gone})
    result = speed_rows()["nmea0183-decode"](1, True)
    assert "no_such_library is not installed" in result["without"]
    assert (result["other"], result["ratio"], result["met"]) == (None, None, None)
    assert any("no_such_library is not installed" in line for line in part([result], repeat=1, is_quick=True))


def test_vectors_that_are_missing_are_told(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(codec_rates, "VECTORS", tmp_path / "none")
    with pytest.raises(typer.Exit) as ended:
        codec_rates.bench_codecs([], repeat=1, is_quick=True, write=None, as_json=False)
    assert ended.value.exit_code == 1
    assert "from a checkout" in capsys.readouterr().err


def test_rows_end_to_end(tmp_path):
    page = tmp_path / "bench.md"
    page.write_text("# Benchmark\n\n## The gateway\n\nits own\n\n### and more\n")
    done = run("--quick", "--repeat", "2", "--only", "hj212-decode", "--only", "flood-jt808", "--json",
               "--write", str(page))  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [row["name"] for row in answer["rows"]] == ["hj212-decode", "flood-jt808"]
    assert len(answer["load"]) == 2
    text = page.read_text()
    assert text.startswith("# Benchmark\n\n## The gateway\n\nits own\n\n### and more\n\n## The codecs\n\nWritten by")
    assert "| `hj212`: packet and segment, decode | 1/s |" in text
    assert "--quick" in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--only", "nonsense"], "jt808-location-decode"),
        (["--peers"], "--peers goes with the gateway"),
        (["--write", "no/such/folder/bench.md"], "cannot be written"),
    ],
)
def test_wrong_usage_is_refused(arguments, told):
    done = run(*arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_each_run_replaces_its_own_part_of_the_page_only():
    page = with_part("", report.GATEWAY, ["first", ""])
    assert page == "# Benchmark\n\n## The gateway\n\nfirst\n"
    page = with_part(page, report.CODECS, ["### inner", "", "second"])
    again = with_part(with_part(page, report.CODECS, ["third"]), report.GATEWAY, ["fourth", "", "fifth"])
    assert again == "# Benchmark\n\n## The gateway\n\nfourth\n\nfifth\n\n## The codecs\n\nthird\n"
    assert with_part(page, report.GATEWAY, ["first"]) == page
