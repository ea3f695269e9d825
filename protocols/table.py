"""Tables of fields as types: read, written, shown and parsed by the rows that their fields carry (`table_rows.py`).

    class Continue(Command, frozen=True):
        TABLE = "classic_C1"
        TYPE = 0xC1
        obu_id: ObuId
        obu_div_factor: IssuerId

Some tables have shorter or longer forms. Which one it is shows in the number of bytes: the fields that a form lacks are
None, and those behind them move up. `FORMS` lists them.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Self, get_type_hints

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError
from protocols.message_fields import Fields
from protocols.table_rows import Octets, Row, struct_of


class Form(msgspec.Struct, frozen=True):
    """One form of a table. lacks: fields that it has not. sizes: fields of bytes whose size it changes."""

    lacks: frozenset[str] = frozenset()
    sizes: Mapping[str, int] = {}


class Compiled:
    """A form made ready. At most one of its rows has no size: it takes what those before and behind it leave."""

    def __init__(self, rows: tuple[tuple[str, Row], ...], form: Form, head: int) -> None:
        self.lacks = form.lacks
        self.rows = tuple(
            (name, Octets(form.sizes[name]) if name in form.sizes else row)
            for name, row in rows
            if name not in form.lacks
        )
        kinds = tuple(row for _name, row in self.rows)
        open_at = next((at for at, row in enumerate(kinds) if row.size is None), None)
        self.is_open = open_at is not None
        self._open_row = None if open_at is None else kinds[open_at]
        self._before = struct_of(kinds[:open_at])
        self._behind = struct_of(() if open_at is None else kinds[open_at + 1 :])
        self._head = head
        self.size = head + self._before.size + self._behind.size
        """Bytes of the form; without those of the row that has no size."""
        self._needs_read = self.is_open or any(row.code == "3s" for row in kinds)
        places = {name: at for at, (name, _row) in enumerate(self.rows)}
        self._places = tuple(places.get(name) for name, _row in rows) if form.lacks else None

    def unpack(self, data: bytes) -> Sequence[Any]:
        """The values of all fields, None for those that it lacks. The caller has seen to the size."""
        values: Sequence[Any] = self._before.unpack_from(data, self._head)
        if self._needs_read:
            raw = list(values)
            if self._open_row is not None:
                end = len(data) - self._behind.size
                raw += (data[self._head + self._before.size : end], *self._behind.unpack_from(data, end))
            values = [self._read(name, row, value) for (name, row), value in zip(self.rows, raw, strict=True)]
        if self._places is not None:
            return [None if place is None else values[place] for place in self._places]
        return values

    def _read(self, name: str, row: Row, raw: Any) -> Any:
        try:
            return row.read(raw)
        except FieldError as error:
            error.field, error.offset = name, self.offset_of(name)
            raise

    def offset_of(self, name: str) -> int:
        """Where a field begins, if no row without a size stands before it."""
        at = self._head
        for each, row in self.rows:
            if each == name:
                break
            at += row.size or 0
        return at

    def fits(self, values: Mapping[str, Any]) -> bool:
        """Whether a value can have this form."""
        if any((value is None) != (name in self.lacks) for name, value in values.items()):
            return False
        return all(
            not isinstance(row, Octets) or (isinstance(values[name], bytes) and row.size in (None, len(values[name])))
            for name, row in self.rows
        )

    def pack(self, values: Mapping[str, Any]) -> bytes:
        """The bytes of the fields. Raises `LocalProtocolError`."""
        parts: list[bytes] = []
        for name, row in self.rows:
            try:
                parts.append(row.write(values[name]))
            except (AttributeError, LocalProtocolError, TypeError) as error:
                reason = error.reason if isinstance(error, LocalProtocolError) else "not a value of this field"
                raise LocalProtocolError(reason, field=name) from None
        return b"".join(parts)


class Layout:
    """A table made ready: its rows, and its forms by their sizes."""

    def __init__(self, table: "type[Table]", head: int) -> None:
        hints = get_type_hints(table, include_extras=True)
        self.rows: tuple[tuple[str, Row], ...] = tuple(
            (name, hints[name].__metadata__[0]) for name in table.__struct_fields__
        )
        self.resized = frozenset(name for form in table.FORMS for name in form.sizes)
        """Fields of bytes whose size differs between forms."""
        self.forms = tuple(Compiled(self.rows, form, head) for form in table.FORMS)
        self.by_size = {form.size: form for form in self.forms if not form.is_open}
        self.open_form = next((form for form in self.forms if form.is_open), None)

    def form_of(self, size: int) -> Compiled | None:
        """The form that so many bytes have."""
        form = self.by_size.get(size)
        if form is None and self.open_form is not None and size >= self.open_form.size:
            return self.open_form
        return form

    def sizes(self) -> str:
        """What may be, in words."""
        words = [str(size) for size in self.by_size]
        if self.open_form is not None:
            words.append(f"at least {self.open_form.size}")
        return " or ".join(words)


@cache
def layout_of(table: "type[Table]") -> Layout:
    """The layout of a type, made once."""
    return Layout(table, table.HEAD)


class Table(msgspec.Struct, frozen=True, gc=False):
    """A table: a file, a record, or an item of a list."""

    TABLE: ClassVar[str] = ""
    HEAD: ClassVar[int] = 0
    """Bytes ahead of the first field."""
    FORMS: ClassVar[tuple[Form, ...]] = (Form(),)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a whole table. Raises `RemoteProtocolError`."""
        layout = layout_of(cls)
        form = layout.form_of(len(data))
        if form is None:
            raise FrameError(f"{layout.sizes()} bytes are due, not {len(data)}", len(data), cls.TABLE or None)
        table = cls(*form.unpack(data))
        if (wrong := table.contradiction()) is not None:
            raise FieldError("does not fit the length", form.offset_of(wrong), wrong)
        return table

    @classmethod
    def has_size(cls, size: int) -> bool:
        """Whether so many bytes may be this table."""
        return layout_of(cls).form_of(size) is not None

    @classmethod
    def sizes(cls) -> str:
        """How many bytes it may have, in words."""
        return layout_of(cls).sizes()

    def contradiction(self) -> str | None:
        """The field that says something else than the others, if any. Most tables have none."""
        return None

    def to_bytes(self) -> bytes:
        """Write it. Raises `LocalProtocolError`."""
        layout = layout_of(type(self))
        values = {name: getattr(self, name) for name, _row in layout.rows}
        form = layout.forms[0]
        if len(layout.forms) > 1:
            form = next((each for each in layout.forms if each.fits(values)), form)
            missing = next((name for name, value in values.items() if (value is None) != (name in form.lacks)), None)
            if missing is not None:
                raise LocalProtocolError("no form of this table has just these fields", field=missing)
        written = self.head() + form.pack(values)
        if (wrong := self.contradiction()) is not None:
            raise LocalProtocolError("does not fit the rest", field=wrong)
        return written

    def head(self) -> bytes:
        """What stands ahead of the first field."""
        return b""

    def readable(self) -> dict[str, object]:
        """Its readable form."""
        shown: dict[str, object] = {}
        for name, row in layout_of(type(self)).rows:
            value = getattr(self, name)
            shown[name] = None if value is None else row.show(value)
        return shown

    @classmethod
    def from_readable(cls, message: Mapping[str, object]) -> Self:
        """The inverse of `readable`. Raises `LocalProtocolError`."""
        layout = layout_of(cls)
        lacking = frozenset[str]().union(*(form.lacks for form in layout.forms))
        names = {name for name, _row in layout.rows}
        for key in message:
            if key not in names:
                raise LocalProtocolError("there is no such key here", field=str(key))
        fields = Fields(message)
        values: list[Any] = []
        for name, row in layout.rows:
            if name in lacking and not fields.has(name):
                values.append(None)
                continue
            try:
                values.append(fields.octets(name) if name in layout.resized else row.parse(fields, name))
            except LocalProtocolError as error:
                error.field = error.field or name
                raise
        return cls(*values)


class Records(Row):
    """A list of tables of one kind, as many as there is room for."""

    size = None
    code = ""

    def __init__(self, item: type[Table]) -> None:
        self.item = item
        self.item_bytes = layout_of(item).forms[0].size

    def read(self, raw: bytes) -> tuple[Table, ...]:
        """The items."""
        count, rest = divmod(len(raw), self.item_bytes)
        if rest:
            raise FieldError(f"{len(raw)} bytes are not whole items of {self.item_bytes}")
        return tuple(
            self.item.from_bytes(raw[at : at + self.item_bytes])
            for at in range(0, count * self.item_bytes, self.item_bytes)
        )

    def write(self, value: tuple[Table, ...]) -> bytes:
        """Their bytes."""
        return b"".join(item.to_bytes() for item in value)

    def show(self, value: tuple[Table, ...]) -> object:
        """A list."""
        return [item.readable() for item in value]

    def parse(self, fields: Fields, name: str) -> tuple[Table, ...]:
        """From a list."""
        items = fields.sequence(name)
        if not all(isinstance(item, Mapping) for item in items):
            raise LocalProtocolError("a list of objects", field=name)
        return tuple(self.item.from_readable(item) for item in items if isinstance(item, Mapping))
