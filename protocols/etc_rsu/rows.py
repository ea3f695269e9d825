"""Rows that tables of roadside units are made of, beside those of `protocols/table_rows.py`."""

from typing import Annotated

from protocols.table_rows import Bytes4, Bytes8, Octets, Text

ObuId = Bytes4
"""The MAC identifier of an on-board unit, or of a pass card."""
IssuerId = Bytes8
"""Who issued it: four bytes of GBK, four of code. Keys are diversified with it."""
Serial = Bytes8
Tac = Bytes4
Time = Annotated[bytes, Octets(7)]
"""BCD, YYYYMMDDhhmmss."""
Plate = Annotated[bytes, Text(12)]
VehicleFile = Annotated[bytes, Octets(79)]
"""`obu_files.VehicleInfo`."""
IssueFile = Annotated[bytes, Octets(50)]
"""`card_files.IssueData`, and seven bytes of filling."""
PassRecord = Annotated[bytes, Octets(43)]
"""`card_files.PassRecord`."""
Ef04Summary = Annotated[bytes, Octets(91)]
"""`obu_files.Ef04Summary`."""
