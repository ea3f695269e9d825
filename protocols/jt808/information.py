"""Text, events, questions, information on demand, calls and the phone book (JT/T 808, chapter 8).

0x8301 to 0x8304 and their answers were removed in 2019 and are read in every edition.
"""

from typing import Annotated, ClassVar

import msgspec

from protocols.jt808.conditions import Trailing, When, is_extended
from protocols.jt808.kinds import BYTE, U8, U16, Counted, Group, Listed, Text8, Text16, TextToEnd
from protocols.jt808.layout import Body, Readable, Scope


class TextMessage(Body, frozen=True, kw_only=True):
    """0x8300. text_type: 1 notice, 2 service (2019)."""

    ID: ClassVar[int] = 0x8300
    text_flags: U8
    text_type: Annotated[int | None, When(is_extended, BYTE)] = None
    text: TextToEnd


class Event(msgspec.Struct, frozen=True):
    """An event that a driver can report."""

    event_id: U8
    content: Text8


class _Events(Trailing):
    """The list may be missing, which the readable form shows as an empty one."""

    def show(self, value: object, scope: Scope) -> object:
        """A list."""
        return [] if value is None else super().show(value, scope)

    def parse(self, fields: Readable, name: str, scope: Scope) -> object:
        """From a list; of an empty one nothing is written."""
        return super().parse(fields, name, scope) or None


class SetEvents(Body, frozen=True):
    """0x8301. action: 0 clear all, 1 update, 2 append, 3 modify, 4 delete those listed."""

    ID: ClassVar[int] = 0x8301
    action: U8
    events: Annotated[tuple[Event, ...] | None, _Events(Counted(1, Group(Event)))] = None


class EventReport(Body, frozen=True):
    """0x0301."""

    ID: ClassVar[int] = 0x0301
    event_id: U8


class Answer(msgspec.Struct, frozen=True):
    """One of the answers that a driver may choose."""

    answer_id: U8
    content: Text16


class Question(Body, frozen=True):
    """0x8302. question_flags: bit 0 urgent, 3 spoken, 4 on the advertising screen."""

    ID: ClassVar[int] = 0x8302
    question_flags: U8
    question: Text8
    answers: Annotated[tuple[Answer, ...], Listed(Group(Answer))] = ()


class QuestionReply(Body, frozen=True):
    """0x0302."""

    ID: ClassVar[int] = 0x0302
    reply_serial: U16
    answer_id: U8


class MenuItem(msgspec.Struct, frozen=True):
    """A kind of information that a driver may order."""

    info_type: U8
    name: Text16


class InformationMenu(Body, frozen=True):
    """0x8303. action: 0 delete all, 1 update, 2 append, 3 modify."""

    ID: ClassVar[int] = 0x8303
    action: U8
    items: Annotated[tuple[MenuItem, ...], Counted(1, Group(MenuItem))] = ()


class InformationOrder(Body, frozen=True):
    """0x0303. subscribe: 0 cancel, 1 order."""

    ID: ClassVar[int] = 0x0303
    info_type: U8
    subscribe: U8


class Information(Body, frozen=True):
    """0x8304."""

    ID: ClassVar[int] = 0x8304
    info_type: U8
    content: Text16


class CallBack(Body, frozen=True):
    """0x8400. call_type: 0 a call, 1 listening in."""

    ID: ClassVar[int] = 0x8400
    call_type: U8
    phone_number: TextToEnd


class Contact(msgspec.Struct, frozen=True):
    """contact_flags: 1 may call, 2 may be called, 3 both."""

    contact_flags: U8
    phone_number: Text8
    name: Text8


class PhoneBook(Body, frozen=True):
    """0x8401. action: 0 clear, 1 update, 2 append, 3 modify by name."""

    ID: ClassVar[int] = 0x8401
    action: U8
    contacts: Annotated[tuple[Contact, ...], Counted(1, Group(Contact))] = ()
