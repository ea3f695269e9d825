"""Any body of JT/T 808, made by its rows."""

from protocols.jt808 import conditions, data, kinds, location, parameters
from protocols.jt808.extras import EXTRAS
from protocols.jt808.layout import Scope, layout_of
from protocols.jt808.location import Extra, Location


def a_location(rng, most=4):
    extras = tuple(Extra(rng.choice([*EXTRAS, 0xE0, 0xFF]), rng.randbytes(rng.randrange(8))) for _ in range(most))
    numbers = [rng.randrange(1 << bits) for bits in (32, 32, 32, 32, 16, 16, 16)]
    return Location(*numbers, rng.choice([rng.randbytes(6), bytes.fromhex("261124062853")]), extras)


def a_parameter(_kind, _scope, rng):
    return parameters.Parameter(rng.choice([*parameters.PARAMETERS, 0x75]), rng.randbytes(rng.randrange(9)))


def a_can_frame(_kind, _scope, rng):
    return data.CanFrame(rng.randrange(2), rng.randrange(2), rng.randrange(2), rng.randrange(1 << 29), bytes(8))


def some_items(kind, scope, rng):
    return tuple(a_value(kind._item, scope, rng) for _ in range(rng.randrange(4)))


def a_trailing(kind, scope, rng):
    if not kind._is_required(scope) and (scope.has_ended or rng.random() < 0.3):
        scope.has_ended = True
        return None
    return a_value(kind._kind, scope, rng)


GENERATORS = {
    location.BaseLocation: lambda _kind, _scope, rng: a_location(rng, 0),
    location.WholeLocation: lambda _kind, _scope, rng: a_location(rng, rng.randrange(4)),
    parameters._Item: a_parameter,
    data._CanItem: a_can_frame,
    kinds.Unsigned: lambda kind, _scope, rng: rng.choice([0, 1, kind.maximum, rng.randrange(kind.maximum + 1)]),
    kinds.Coordinate: lambda _kind, _scope, rng: rng.randrange(1 << 32),
    kinds.Octets: lambda kind, _scope, rng: rng.randbytes(rng.randrange(60) if kind.size is None else kind.size),
    kinds.FixedText: lambda kind, scope, rng: rng.choice([rng.randbytes, bytes])(kind._bytes(scope)),
    kinds.Text: lambda _kind, _scope, rng: rng.choice([rng.randbytes(rng.randrange(30)), "测A1234".encode("gbk"), b""]),
    kinds.Sized: lambda kind, scope, rng: a_value(kind._content, scope, rng),
    kinds.Group: lambda kind, scope, rng: a_struct(kind._struct, scope, rng),
    kinds.Listed: some_items,
    kinds.Announcing: lambda kind, scope, rng: a_value(kind._kind, scope, rng),
    conditions.When: lambda kind, scope, rng: a_value(kind._kind, scope, rng) if kind._condition(scope) else None,
    conditions.Trailing: a_trailing,
    conditions.Either: lambda kind, scope, rng: a_value(kind._kind(scope), scope, rng),
}


def a_value(kind, scope, rng):
    """Something that this row can hold."""
    return next(make for known, make in GENERATORS.items() if isinstance(kind, known))(kind, scope, rng)


def a_struct(struct, scope, rng):
    scope = scope.inner()
    for name, kind in layout_of(struct):
        scope.values[name] = a_value(kind, scope, rng)
    return struct(**{name: scope.values[name] for name in struct.__struct_fields__})


def a_body(kind, dialect, rng):
    return a_location(rng) if kind is Location else a_struct(kind, Scope(dialect), rng)
