"""Commands by code and way, times, factors, and long content in parts."""

import doctest
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, FieldError, LocalProtocolError
from protocols.hj212 import answers, commands, factors, parts, times
from protocols.hj212.answers import ExecutionResult, RequestAnswer
from protocols.hj212.command import Command, Kind, OtherCommand, write_items
from protocols.hj212.commands import KINDS, NOTICES, Way, decode_command
from protocols.hj212.cp import Item, chained, factor_items, format_items, plain_item
from protocols.hj212.data import RealtimeData
from protocols.hj212.factors import ATTRIBUTES, FACTORS, FLAGS, factor_of
from protocols.hj212.link import Configure, Identity
from protocols.hj212.packet import decode_packet
from protocols.hj212.parameters import SetClock, SetPassword, SetRealtimeInterval
from protocols.hj212.parts import MAX_CONTENT_BYTES, Reassembler, join_segments, split_segment
from protocols.hj212.segment import Segment, decode_segment, encode_segment, header_of
from protocols.hj212.site import Requested
from protocols.hj212.times import RequestNumbers, local_ms_of, qn_of, time_of
from protocols.tests.kit import cases_of

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None)
ALL_KINDS = [pytest.param(way, kind, id=f"{way.name} {code}") for way in Way for code, kind in KINDS[way].items()]
SAMPLES = {Kind.TEXT: "a21026", Kind.WHOLE: 30, Kind.TIME: "20250301120000"}
GROUPS = st.tuples(st.sampled_from("abc"), st.integers(1, 4), st.integers(0, 60))
CN_OF_SPEC = (
    "1000 1011 1012 1013 1061 1062 1063 1064 1072 2011 2012 2021 2022 2031 2041 2051 2061 2081 3011 3012 3013 3014 "
    "3015 3016 3017 3018 3019 3020 3021 9011 9012 9013 9014"
)


def sample_of(kind: type[Command]) -> Command:
    values: dict[str, Any] = {plain.field: SAMPLES[plain.kind] for plain in kind.PLAIN}
    return kind(**values, others=factor_items("a21026", {"Rtd": "1.50", "Flag": "N"}))


def segment_of(command: Command) -> Segment:
    return Segment(header_of(qn="1", st="32", cn=command.cn, pw="p", mn="m", flag=5), write_items(command))


def test_every_code_of_the_standard_has_a_class() -> None:
    assert {code for way in Way for code in KINDS[way]} == set(CN_OF_SPEC.split())
    assert {Way.UP: {"1013"}, Way.DOWN: {"2012", "2022"}} == NOTICES


@pytest.mark.parametrize(("way", "kind"), ALL_KINDS)
def test_a_command_is_written_and_read(way: Way, kind: type[Command]) -> None:
    command = sample_of(kind)
    wire = encode_segment(segment_of(command))
    read = decode_command(decode_segment(wire), way)
    assert msgspec.structs.replace(read, others=chained(read.others)) == command
    assert encode_segment(segment_of(read)) == wire


@pytest.mark.parametrize(("way", "kind"), ALL_KINDS)
def test_a_needed_item_may_not_be_missing_or_wrong(way: Way, kind: type[Command]) -> None:
    for plain in kind.PLAIN:
        items = write_items(sample_of(kind))
        header = header_of(qn="1", st="32", cn=kind.CN, pw="p", mn="m", flag=5)
        without = Segment(header, chained(item for item in items if item.name != plain.name))
        if plain.is_needed:
            with pytest.raises(FieldError) as refused:
                decode_command(without, way)
            assert refused.value.field == plain.name
        else:
            assert getattr(decode_command(without, way), plain.field) is None
        for wrong in (None, "x") if plain.kind is not Kind.TEXT else (None,):
            swapped = [Item(item.name, wrong) if item.name == plain.name else item for item in items]
            with pytest.raises(FieldError):
                decode_command(Segment(header, chained(swapped)), way)


@pytest.mark.parametrize(
    "wrong", ["20250230000000", "2025030112000", "20250301240000", "2025030112000x", "２0250301120000"]
)
def test_a_time_is_one_of_the_calendar(wrong: str) -> None:
    with pytest.raises(FieldError):
        local_ms_of(wrong)
    with pytest.raises(LocalProtocolError):
        write_items(SetClock(system_time=wrong))


def test_a_number_that_cannot_be_written_is_refused() -> None:
    assert write_items(SetRealtimeInterval(interval_s=10**9 - 1)) == (Item("RtdInterval", "999999999", None, ""),)
    for wrong in (-1, 10**9):
        with pytest.raises(LocalProtocolError):
            write_items(SetRealtimeInterval(interval_s=wrong))


def test_unknown_codes_and_items_survive() -> None:
    wire = b"QN=1;ST=32;CN=4711;PW=p;MN=m;Flag=5;CP=&&x=1;a-Rtd=2,a-Flag=N&&"
    command = decode_command(decode_segment(wire), Way.DOWN)
    assert isinstance(command, OtherCommand)
    assert command.cn == "4711"
    assert encode_segment(segment_of(command)) == wire
    answer = decode_command(decode_segment(b"CN=9011;CP=&&QnRtn=42;x=1&&"), Way.UP)
    assert answer == RequestAnswer(qn_rtn=42, others=(Item("x", "1", None, ""),))


def test_an_item_that_stands_twice_is_kept() -> None:
    command = decode_command(decode_segment(b"CN=9012;CP=&&ExeRtn=1;ExeRtn=2&&"), Way.UP)
    assert command == ExecutionResult(exe_rtn=1, others=(Item("ExeRtn", "2", None, ""),))


def test_a_segment_without_a_code_is_no_command() -> None:
    with pytest.raises(FieldError):
        decode_command(decode_segment(b"CP=&&&&"), Way.UP)


@pytest.mark.parametrize("case", [case for case in cases_of("hj212") if "error" not in case["expect"]])
def test_the_vectors_are_commands(case: dict[str, Any]) -> None:
    segment = decode_segment(decode_packet(case["text"].encode("gbk"), accepts_modbus_crc=True).data)
    way = Way.DOWN if segment.cn in ("1011", "1012", "1062", "2012") else Way.UP
    command = decode_command(segment, way)
    assert not isinstance(command, OtherCommand)
    if isinstance(command, RealtimeData):
        assert command.data_time == case["expect"]["cp"]["DataTime"]


def test_no_password_is_shown() -> None:
    command = SetPassword(new_pw="abcdef")
    segment = Segment(header_of(qn="1", st="32", cn="1072", pw="123456", mn="m", flag=5), write_items(command))
    identity = Identity(mn="m", st="32", pw="123456")
    for shown in map(repr, (command, segment, identity, Configure(pw="abcdef"), Requested(command=command, qn="1"))):
        assert "***" in shown
        assert "abcdef" not in shown
        assert "123456" not in shown
    assert "pw=None" in repr(Configure())


# -- times -----


@EXAMPLES
@given(st.integers(local_ms_of("00010101000000"), local_ms_of("99991231235959999", "QN")))
def test_every_moment_reads_back(local_ms: int) -> None:
    assert local_ms_of(qn_of(local_ms), "QN") == local_ms
    assert local_ms_of(time_of(local_ms)) == local_ms // 1000 * 1000


def test_no_two_request_numbers_are_equal() -> None:
    numbers = RequestNumbers()
    now = local_ms_of("20250301120000")
    drawn = [numbers.next(moment) for moment in (now, now, now - 5000, now + 1, now + 1000)]
    assert drawn == [qn_of(now + add) for add in (0, 1, 2, 3, 1000)]


# -- factors -----


def test_factors_are_known_by_both_codes() -> None:
    assert len({factor.code for factor in FACTORS}) == len(FACTORS)
    old = [factor.old_code for factor in FACTORS if factor.old_code]
    assert len(set(old)) == len(old)
    for factor in FACTORS:
        assert factor_of(factor.code) is factor
        assert factor.old_code is None or factor_of(factor.old_code) is factor


def test_the_vectors_use_attributes_and_flags_that_are_named() -> None:
    for case in cases_of("hj212"):
        for attributes in case["expect"].get("factors", {}).values():
            assert set(attributes) <= set(ATTRIBUTES)
            assert attributes.get("Flag", "N") in FLAGS


# -- parts -----


def long_segment(count: int = 40, flag: int | None = 5) -> Segment:
    items = [plain_item("DataTime", "20250301120000")]
    for number in range(count):
        items += factor_items(f"a{number:05d}", {"Rtd": "1.50", "Flag": "N", "ZsRtd": "x" * (number % 30)})
    return Segment(header_of(qn="1", st="31", cn="2011", pw="p", mn="m", flag=flag), chained(items))


@pytest.mark.parametrize("flag", [5, 4, 1, 0, None])
def test_long_content_goes_out_in_parts(flag: int | None) -> None:
    whole = long_segment(flag=flag)
    cut = split_segment(whole)
    assert len(cut) > 2
    for number, part in enumerate(cut, 1):
        assert len(format_items(part.items)) <= MAX_CONTENT_BYTES
        assert part.plain("DataTime") == "20250301120000"
        assert (part.pnum, part.pno, part.is_split) == (len(cut), number, True)
        assert part.flag == (None if flag is None else flag | 2)
        assert decode_segment(encode_segment(part)) == part
    assert join_segments(cut) == whole


def test_short_content_stays_as_it_is() -> None:
    whole = long_segment(2)
    assert split_segment(whole) == [whole]


def test_a_packet_is_filled_to_its_last_byte() -> None:
    items = (plain_item("T", "1"), *factor_items("a", {"R": "x"}), *factor_items("b", {"R": "x"}))
    whole = Segment((), chained(items))
    assert format_items(whole.items) == "T=1;a-R=x;b-R=x"
    assert len(split_segment(whole, 15)) == 1
    assert [format_items(part.items) for part in split_segment(whole, 14)] == ["T=1;a-R=x", "T=1;b-R=x"]
    assert [format_items(part.items) for part in split_segment(whole, 9)] == ["T=1;a-R=x", "T=1;b-R=x"]
    with pytest.raises(LocalProtocolError):
        split_segment(whole, 8)
    two = Segment((), chained((*items, *factor_items("c", {"R": "x"}))))
    assert [format_items(part.items) for part in split_segment(two, 15)] == ["T=1;a-R=x;b-R=x", "T=1;c-R=x"]


def test_a_factor_is_cut_only_when_it_must_be() -> None:
    items = (plain_item("DataTime", "1"), *factor_items("a", {str(number): "x" * 300 for number in range(8)}))
    whole = Segment((), chained(items))
    cut = split_segment(whole)
    assert [len(part.items) - 1 for part in cut] == [3, 3, 2]
    assert join_segments(cut) == whole


def test_plain_items_alone_are_cut_too() -> None:
    whole = Segment((), chained(plain_item(f"i{number}", "中" * 60) for number in range(20)))
    cut = split_segment(whole)
    assert max(len(format_items(part.items).encode("gbk")) for part in cut) <= MAX_CONTENT_BYTES
    assert join_segments(cut) == whole


def test_more_parts_than_can_be_counted_are_refused() -> None:
    items = factor_items("a", {str(number): "x" for number in range(10_000)})
    with pytest.raises(LocalProtocolError):
        split_segment(Segment((), items), max_bytes=8)


def test_an_item_longer_than_a_packet_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        split_segment(Segment((), (plain_item("a", "1"), Item("b", "x" * 950, "Info"))))


def test_a_plain_item_longer_than_a_packet_is_refused() -> None:
    longest = Segment((), chained((plain_item("a", "x" * 948),)))
    assert split_segment(longest) == [longest]
    (part,) = split_segment(Segment((), longest.items, ";"))
    assert part == longest
    (part,) = split_segment(Segment((), (plain_item("a", "x" * 948),)))  # a separator more than there need be
    assert part == longest
    with pytest.raises(LocalProtocolError):
        split_segment(Segment((), chained((plain_item("a", "x" * 949),))))


def test_parts_of_nothing_but_short_items_come_together_at_once() -> None:
    """Each item of a part is looked up among those of the first, not compared with each."""
    count, per_part = 256, 1600
    reassembler = Reassembler()
    for pno in range(1, count + 1):
        header = header_of(qn="1", st="31", cn="2011", pw="p", mn="m", flag=7, pnum=count, pno=pno)
        items = tuple(plain_item(f"{pno}.{number}", "") for number in range(per_part))
        whole = reassembler.add(Segment(header, items), 0.0)
    assert isinstance(whole, Segment)
    assert len(whole.items) == count * per_part


@EXAMPLES
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4), st.integers(0, 60)), max_size=30),
    st.integers(200, 400),
)
def test_what_is_split_comes_together_again(groups: list[tuple[str, int, int]], max_bytes: int) -> None:
    items = [plain_item("DataTime", "20250301120000")]
    for number, (name, count, size) in enumerate(groups):
        items += factor_items(f"{name}{number}", {f"A{at}": "x" * size for at in range(count)})
    whole = Segment((), chained(items))
    cut = split_segment(whole, max_bytes)
    assert all(len(format_items(part.items)) <= max_bytes for part in cut)
    assert (join_segments(cut) if len(cut) > 1 else cut[0]) == whole


def test_parts_come_together_in_any_order_and_twice() -> None:
    whole = long_segment()
    cut = split_segment(whole)
    reassembler = Reassembler()
    assert all(reassembler.add(part, 1.0) is NEED_DATA for part in [*cut[:0:-1], cut[-1]])
    assert reassembler.next_deadline() == 61.0
    assert reassembler.add(cut[0], 1.0) == whole
    assert reassembler.next_deadline() is None
    assert reassembler.add(long_segment(1), 2.0) == long_segment(1)


def test_a_part_whose_others_never_come_is_forgotten() -> None:
    cut = split_segment(long_segment())
    reassembler = Reassembler(timeout_s=5.0)
    for part in cut[:-1]:
        reassembler.add(part, 1.0)
    reassembler.tick(5.9)
    assert reassembler.forgotten_parts == 0
    assert reassembler.add(cut[-1], 6.0) is NEED_DATA  # a new whole with the same number
    assert reassembler.forgotten_parts == len(cut) - 1


def test_a_whole_of_another_count_begins_anew() -> None:
    header = ("PNUM", "2"), ("PNO", "1")
    reassembler = Reassembler()
    assert reassembler.add(Segment(header), 0.0) is NEED_DATA
    assert reassembler.add(Segment((("PNUM", "3"), ("PNO", "2"))), 0.0) is NEED_DATA
    assert reassembler.forgotten_parts == 1


def test_parts_stay_bounded() -> None:
    reassembler = Reassembler(max_parts=10)
    for number in range(500):
        header = header_of(qn=str(number), st="31", cn="2011", pw="p", mn="m", flag=7, pnum=3, pno=number % 2 + 1)
        assert reassembler.add(Segment(header), 0.0) is NEED_DATA
    assert reassembler.forgotten_parts == 490


def test_parts_that_cannot_be_are_not_kept() -> None:
    reassembler = Reassembler(max_parts=10)
    for pnum, pno, kept in ((11, 1, False), (3, 0, False), (10, 10, True)):
        header = header_of(qn="x", st="31", cn="2011", pw="p", mn="m", flag=7, pnum=pnum, pno=pno)
        assert reassembler.add(Segment(header), 0.0) is NEED_DATA
        assert (reassembler.next_deadline() is not None) is kept
    assert reassembler.forgotten_parts == 2


@pytest.mark.parametrize("module", [commands, factors, times])
def test_examples_in_docstrings(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


def test_answers_are_known_as_answers() -> None:
    assert {"9011", "9012", "9013", "9014"} == answers.ANSWERS
    assert parts.MAX_CONTENT_BYTES == 950
