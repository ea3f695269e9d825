"""What most dialogues keep until they are asked for it."""

from protocols.core.errors import NEED_DATA
from protocols.dialogue import EventQueue, FrameEnd, StreamEnd


def test_events_come_in_order_and_once():
    queue = EventQueue()
    queue._events += ("first", None, "last")
    assert [queue.next_event() for _ in range(4)] == ["first", None, "last", NEED_DATA]


def test_a_stream_gives_all_that_is_due_once():
    end = StreamEnd()
    end._outgoing += b"\x01"
    end._outgoing += b"\x02\x03"
    first = end.bytes_to_send()
    end._outgoing += b"\x04"
    assert (first, end.bytes_to_send(), end.bytes_to_send()) == (b"\x01\x02\x03", b"\x04", b"")


def test_frames_are_given_one_by_one():
    end = FrameEnd()
    end._outgoing += (b"\x01\x02", b"\x03")
    assert [end.bytes_to_send() for _ in range(3)] == [b"\x01\x02", b"\x03", b""]
