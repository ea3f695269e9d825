"""`wayside decode` and `encode`: the contract that scripts rely on, and what a person at a terminal sees."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from protocols.tests.kit import cases_of, input_of, is_same
from tools.cli import app
from tools.decode import _marked
from tools.json_lines import MAX_LINE_BYTES
from tools.protocol_table import PROTOCOLS

GGA = "$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76"
ACK = "0000ff00ff00"


def wayside(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(app, arguments, input=stdin)


def answers(*lines: str | bytes, protocol: str = "nmea0183", verb: str = "decode") -> list[dict[str, Any]]:
    """What each line is answered."""
    stdin = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
    result = wayside(verb, protocol, "--jsonl", stdin=stdin)
    assert (result.exit_code, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_vector_is_answered_line_by_line(protocol: str) -> None:
    cases = cases_of(protocol)
    got = answers(*(json.dumps(input_of(case)) for case in cases), protocol=protocol)
    assert len(got) == len(cases)
    for case, answer in zip(cases, got, strict=True):
        if case["expect"].get("error") is True:
            assert set(answer["error"]) == {"kind", "offset", "field", "reason"}, case["name"]
        else:
            assert is_same(case["expect"], answer["message"]), case["name"]


def test_a_bad_line_costs_its_own_answer_only() -> None:
    good = json.dumps({"text": GGA})
    bad = ["", "{", "[1]", "null", '{"text": NaN}', b"\xff\xfe", "[" * 100_000, '{"text": "a"}', '{"colour": 1}', "{}"]
    got = answers(good, *bad, good)
    assert got[0] == got[-1]
    assert got[0]["message"]["lat_deg"] == pytest.approx(53.361336667)
    kinds = [answer["error"]["kind"] for answer in got[1:-1]]
    assert kinds == ["option"] * 7 + ["frame"] + ["option"] * 2


def test_a_line_without_end_is_refused_within_its_bound_and_the_next_is_read() -> None:
    got = answers("x" * (3 * MAX_LINE_BYTES), json.dumps({"text": GGA}))
    assert got[0]["error"] == {
        "kind": "option",
        "offset": None,
        "field": None,
        "reason": "a line of more than 1048576 bytes",
    }
    assert got[1]["message"]["formatter"] == "GGA"


def test_a_last_line_without_line_end_is_answered() -> None:
    result = wayside("decode", "nmea0183", "--jsonl", stdin=json.dumps({"text": GGA}))
    assert json.loads(result.stdout)["message"]["formatter"] == "GGA"


@given(st.lists(st.binary(max_size=40), max_size=5))
@settings(derandomize=True, deadline=None, max_examples=50)
def test_any_lines_get_one_answer_each(lines: list[bytes]) -> None:
    stdin = b"".join(line + b"\n" for line in lines)
    result = wayside("decode", "pn532", "--jsonl", stdin=stdin)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == stdin.count(b"\n")


def test_options_of_the_command_hold_for_every_line() -> None:
    result = wayside("decode", "pn532", "--jsonl", "-o", "kind=host_frame", stdin='{"hex": "0000ff00ff00"}')
    assert json.loads(result.stdout)["message"]["frame_type"] == "ack"


def test_a_person_reads_a_table() -> None:
    result = wayside("decode", "nmea0183", GGA)
    assert result.exit_code == 0
    assert ["num_sats", "8"] in [line.split() for line in result.stdout.splitlines()]
    assert all(line == line.rstrip() for line in result.stdout.splitlines())
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize("frame", [["00 00 ff 00 ff 00"], ["00", "0", "0xFF", "00", "ff", "00"], ["00:00:FF:00:FF:00"]])
def test_bytes_may_be_written_as_people_write_them(frame: list[str]) -> None:
    result = wayside("decode", "pn532", "--json", "--option", "kind=host_frame", *frame)
    assert json.loads(result.stdout) == {"message": {"kind": "host_frame", "frame_type": "ack"}}


def test_frames_are_read_from_stdin_when_none_is_given() -> None:
    result = wayside("decode", "pn532", "--json", "-o", "kind=host_frame", stdin=f"{ACK}\n\n{ACK}\n")
    assert len(result.stdout.splitlines()) == 2


def test_nothing_to_decode_is_no_success() -> None:
    result = wayside("decode", "pn532")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "wayside: no frame came\n")


def test_rubbish_ends_with_one_line_that_marks_the_place() -> None:
    result = wayside("decode", "nmea0183", "$GPGGA,0927*00")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "wayside: checksum: the checksum does not hold (at byte 12): $GPGGA,0927*>0<0\n"


def test_a_long_frame_is_shown_around_the_place() -> None:
    result = wayside("decode", "nmea0183", GGA.replace("*76", "*77"))
    assert result.stderr.endswith(": ... ,M,55.2,M,,*>7<7\n")


def test_bytes_are_marked_as_bytes() -> None:
    assert _marked("0000ff", "hex", 1) == "00 >00< ff"
    assert _marked("0000ff", "hex", 9) == "00 00 ff ><"
    assert _marked("0000ff", "hex", None) == "00 00 ff"
    assert _marked("00" * 40, "hex", 20) == "... " + "00 " * 12 + ">00<" + " 00" * 12 + " ..."
    assert _marked("0g", "hex", 1) == "0>g<"
    assert _marked("", "hex", 0) == "><"


def test_good_frames_are_shown_although_one_is_bad() -> None:
    result = wayside("decode", "pn532", "--json", "-o", "kind=host_frame", ACK, "zz", ACK)
    assert result.exit_code == 1
    assert [next(iter(json.loads(line))) for line in result.stdout.splitlines()] == ["message", "error", "message"]


def test_what_a_peer_sent_cannot_command_the_terminal() -> None:
    result = wayside("decode", "nmea0183", stdin=b"$GPTXT,01,01,02,\x1b[2J*00\n")
    assert "\x1b" not in result.stderr + result.stdout
    assert ">\\x1b<[2J" in result.stderr


PACKET = (
    "##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&1C80"
)
"""The worked example of HJ 212-2017, without its CR LF."""


@pytest.mark.parametrize("line_end", ["", "\n", "\r\n"])
def test_a_packet_of_a_log_needs_no_line_end(line_end: str) -> None:
    for result in (
        wayside("decode", "hj212", "--json", PACKET + line_end),
        wayside("decode", "hj212", "--json", stdin=PACKET + line_end),
    ):
        assert result.exit_code == 0
        assert json.loads(result.stdout)["message"]["cp"] == {"RtdInterval": "30"}
    (answer,) = answers(json.dumps({"text": PACKET}), protocol="hj212")
    assert answer["error"]["reason"] == "a packet ends with CR LF"  # a script says what came


CLEANED = (
    "##0088QN=20160801085857223;ST=32;CN=3020;PW=100000;MN=X;Flag=4;CP=&&i11001-Info=//\u6e05\u6d17\u7ba1\u8def//&&8BC1"
)
"""A packet that says in Chinese that the pipes were cleaned."""


def test_text_of_a_log_is_read_in_the_protocol_s_own_characters() -> None:
    by_stdin = wayside("decode", "hj212", "--json", stdin=CLEANED.encode("gbk"))
    by_argument = wayside("decode", "hj212", "--json", CLEANED)
    assert by_stdin.exit_code == 0
    assert by_stdin.stdout == by_argument.stdout
    factors = json.loads(by_stdin.stdout)["message"]["factors"]
    assert factors == {"i11001": {"Info": "//\u6e05\u6d17\u7ba1\u8def//"}}


def test_the_place_is_marked_behind_characters_of_two_bytes() -> None:
    result = wayside("decode", "hj212", stdin=CLEANED[:-4].encode("gbk") + b"0000\n")
    assert result.exit_code == 1
    assert result.stderr.endswith("//&&>0<000\n")


def test_bytes_that_no_character_has_are_refused_in_one_line() -> None:
    result = wayside("decode", "hj212", stdin=PACKET.replace("30", "3").encode() + b"\xff")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "GBK" in result.stderr


def test_an_unknown_protocol_is_wrong_usage_and_the_known_ones_are_named() -> None:
    result = wayside("decode", "nmea", "x")
    assert result.exit_code == 2
    assert 'nearest is "nmea0183"' in result.stderr
    assert "pn532" in result.stderr
    assert wayside("encode", "nmea", "x").exit_code == 2


def test_a_frame_whose_kind_nobody_told_is_wrong_usage_and_the_kinds_are_named() -> None:
    for options, named in (((), "host_frame"), (("-o", "kind=host_frme"), "host_frame"), (("-o", "a=1"), "option 'a'")):
        result = wayside("decode", "pn532", *options, ACK, ACK)
        assert named in result.stderr
        assert (result.exit_code, result.stdout) == (2, "")
        assert len(result.stderr.splitlines()) == 1
        assert "-o KEY=VALUE" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [("decode", "pn532", "--option", "kind", ACK), ("decode", "pn532", "--jsonl", ACK), ("encode", "pn532")],
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...]) -> None:
    assert wayside(*arguments).exit_code == 2


def test_encode_is_the_inverse() -> None:
    decoded = answers(json.dumps({"text": GGA}))[0]
    encoded = answers(json.dumps(decoded), verb="encode")[0]
    assert answers(json.dumps(encoded))[0] == decoded


def test_encode_answers_every_line() -> None:
    got = answers("", "{}", '{"message": 1}', '{"message": {}, "x": 1}', '{"message": {}}', verb="encode")
    assert [answer["error"]["kind"] for answer in got[:4]] == ["option"] * 4
    assert got[3]["error"]["field"] == "x"
    assert "error" in got[4]


def test_encode_for_a_person() -> None:
    message = json.dumps({"talker": "HE", "formatter": "HDT", "heading_true_deg": 4.1})
    assert wayside("encode", "nmea0183", message).stdout == "$HEHDT,4.1,T*2A\n"
    assert json.loads(wayside("encode", "nmea0183", "--json", message).stdout) == {"text": "$HEHDT,4.1,T*2A"}
    refused = wayside("encode", "nmea0183", "{")
    assert (refused.exit_code, refused.stdout) == (1, "")


def test_a_message_of_several_frames_is_a_line_each() -> None:
    frames = ["1CECFF00#20120003FFCAFE00", "1CEBFF00#0100FF5B0003015C"]
    frames += ["1CEBFF00#020004025D000503", "1CEBFF00#035E000604FFFFFF"]
    case = json.dumps({"kind": "j1939_tp", "frames": frames})
    message = json.loads(wayside("decode", "vehicle_bus", "--jsonl", stdin=case).stdout)["message"]
    result = wayside("encode", "vehicle_bus", json.dumps(message))
    assert (result.exit_code, result.stdout.split()) == (0, frames)


def test_parts_of_one_message_are_decoded_together() -> None:
    case = next(case for case in cases_of("ais") if isinstance(case.get("text"), list))
    result = wayside("decode", "ais", "--together", "--json", *case["text"])
    assert json.loads(result.stdout)["message"]["mmsi"] == case["expect"]["mmsi"]
    result = wayside("decode", "ais", "--together", stdin="\n".join(case["text"]))
    assert (result.exit_code, str(case["expect"]["mmsi"]) in result.stdout) == (0, True)
    result = wayside("decode", "ais", "--together", case["text"][0], "rubbish")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert wayside("decode", "pn532", "--together", ACK).exit_code == 2
    assert wayside("decode", "ais", "--together", "--jsonl").exit_code == 2


def test_a_kind_of_text_takes_text() -> None:
    result = wayside("decode", "vehicle_bus", "-o", "kind=elm", "-o", "request=ATRV", "--json", "12.6V\r\r>")
    assert json.loads(result.stdout)["message"]["voltage_v"] == 12.6


def test_help_lists_every_verb_without_loading_one() -> None:
    result = wayside("--help")
    assert result.exit_code == 0
    assert "  decode  " in result.stdout


def test_an_unknown_verb_names_the_nearest() -> None:
    result = wayside("dekode")
    assert result.exit_code == 2
    assert 'nearest is "decode"' in result.stderr
