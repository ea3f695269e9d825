"""Readable form of purse data, card files and cryptograms: what `wayside decode epurse` shows.

A case holds `kind`, `hex` and, for cryptograms, `params` with keys in hex. The message holds the kind again. Numbers
are integers, amounts fen; BCD digits, dates and identifiers are the hex of their bytes. A star marks keys that are
not of the layout.

    init_cmd init_purchase_rsp debit_cmd debit_rsp prove_rsp          data of a purchase (`purchase_tables.py`)
    init_load_rsp credit_cmd                                          data of a load (`load_tables.py`)
    sam_init_cmd sam_init_rsp                                         data of the SAM (`sam.py`)
    tu_file15 tu_file18 tu_file1e lnt_file15 lnt_file18               card files; lnt_file15 with rest*
    balance                                                           balance bit_31*
    session_key_3des session_key_sm4_p1            params: key        session_key
    mac_des mac_sm4_p1                             params: key        mac
    mac_3des                                       params: key, iv    mac
    diversify_3des diversify_3des_2 diversify_sm4  params: key        derived_key
    tac_key                                                           tac_key

Data are those between the lengths of an APDU, without header and status word.

>>> decode_message({"kind": "prove_rsp", "hex": "ca7579bb651e3e58"})
{'kind': 'prove_rsp', 'mac2': 'ca7579bb', 'tac': '651e3e58'}
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from protocols.core.errors import FrameError, LocalProtocolError, OptionError
from protocols.epurse import ciphers
from protocols.epurse.lingnan_files import LingnanPublicData, LingnanRecord
from protocols.epurse.load_tables import CreditCommand, InitLoadAnswer
from protocols.epurse.purchase_tables import (
    BALANCE_NOISE,
    Balance,
    DebitAnswer,
    DebitCommand,
    InitCommand,
    InitPurchaseAnswer,
    ProveAnswer,
)
from protocols.epurse.sam import SamInitAnswer, SamInitCommand
from protocols.epurse.union_files import PublicData, PurseRecord, Trip
from protocols.message_case import kind_and_octets, one_of
from protocols.message_fields import Fields
from protocols.table import Table

TABLES: Mapping[str, type[Table]] = {
    table.TABLE: table
    for table in (
        InitCommand,
        InitPurchaseAnswer,
        DebitCommand,
        DebitAnswer,
        ProveAnswer,
        InitLoadAnswer,
        CreditCommand,
        SamInitCommand,
        SamInitAnswer,
        PublicData,
        PurseRecord,
        Trip,
        LingnanPublicData,
        LingnanRecord,
    )
}


class Computation(msgspec.Struct, frozen=True):
    """A cryptogram. params: which keys it takes, and their sizes. size: of its input, if only one is right."""

    result: str
    compute: Callable[..., bytes]
    params: Mapping[str, int]
    size: int | None = None


_KEY = {"key": ciphers.KEY_BYTES}


COMPUTATIONS: Mapping[str, Computation] = {
    "session_key_3des": Computation("session_key", ciphers.session_key_3des, _KEY, ciphers.SEED_BYTES),
    "session_key_sm4_p1": Computation("session_key", ciphers.session_key_sm4_p1, _KEY, ciphers.SEED_BYTES),
    "mac_des": Computation("mac", ciphers.mac_des, {"key": ciphers.DES_KEY_BYTES}),
    "mac_3des": Computation("mac", ciphers.mac_3des, {"key": ciphers.KEY_BYTES, "iv": ciphers.DES_BLOCK}),
    "mac_sm4_p1": Computation("mac", ciphers.mac_sm4_p1, _KEY),
    "tac_key": Computation("tac_key", ciphers.tac_key, {}, ciphers.KEY_BYTES),
    "diversify_3des": Computation("derived_key", ciphers.diversify_3des, _KEY, ciphers.DES_BLOCK),
    "diversify_3des_2": Computation(
        "derived_key", lambda key, data: ciphers.diversify_3des(key, data[:8], data[8:]), _KEY, 2 * ciphers.DES_BLOCK
    ),
    "diversify_sm4": Computation("derived_key", ciphers.diversify_sm4, _KEY, ciphers.DES_BLOCK),
}
KINDS = (*TABLES, "balance", *COMPUTATIONS)


def decode_message(case: Mapping[str, object]) -> dict[str, object]:
    """Read one case. Raises `RemoteProtocolError` for bad bytes, `OptionError` for a bad case. Neither holds a key."""
    kind, data = kind_and_octets(case, KINDS, "params")
    if kind in COMPUTATIONS:
        return {"kind": kind, **_computed(COMPUTATIONS[kind], data, case.get("params"))}
    if case.get("params") is not None:
        raise OptionError("this kind takes none", field="params")
    if kind in TABLES:
        return {"kind": kind, **TABLES[kind].from_bytes(data).readable()}
    balance = Balance.from_bytes(data)
    return {"kind": kind, "balance": balance.amount, "bit_31": balance.raw != balance.amount}


def _computed(computation: Computation, data: bytes, params: object) -> dict[str, object]:
    given: Mapping[Any, object] = {} if params is None else params if isinstance(params, Mapping) else {"": None}
    if given.keys() != computation.params.keys():
        raise OptionError("an object with " + (", ".join(computation.params) or "nothing in it"), field="params")
    fields = Fields(given)
    try:
        keys = [fields.octets(name, size) for name, size in computation.params.items()]
    except LocalProtocolError as error:
        raise OptionError(error.reason, field=f"params.{error.field}") from None
    if computation.size is not None and len(data) != computation.size:
        raise FrameError(f"{computation.size} bytes are due, not {len(data)}", len(data))
    return {computation.result: computation.compute(*keys, data).hex()}


def encode_message(message: Mapping[str, object]) -> dict[str, object]:
    """Write one message. Raises `LocalProtocolError` for what has no canonical form."""
    kind = one_of(message.get("kind"), KINDS, "kind")
    if kind in TABLES:
        shown = {name: value for name, value in message.items() if name != "kind"}
        return {"hex": TABLES[kind].from_readable(shown).to_bytes().hex()}
    if kind == "balance":
        fields = Fields(message)
        noise = BALANCE_NOISE if fields.flag("bit_31", default=False) else 0
        return {"hex": Balance(fields.integer("balance", BALANCE_NOISE - 1) | noise).to_bytes().hex()}
    raise LocalProtocolError("a cryptogram does not tell what it was made from", field=kind)
