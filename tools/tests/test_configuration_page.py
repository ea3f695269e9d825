"""The page of a configuration's keys is in step with the types, and leaves none unexplained."""

from drivers.modbus.config import BusConfig
from edge.gateway.config import TABLES
from edge.gateway.config_schema import device_types, key_texts, types_within
from tools.configuration_page import PAGE, page

KINDS = types_within(*TABLES.values(), BusConfig, *device_types().values())


def test_the_page_is_what_the_types_say() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: make docs"


def test_every_key_is_explained() -> None:
    assert [
        f"{kind.__name__}.{key}"
        for kind in KINDS
        for key in kind.__struct_encode_fields__
        if key not in key_texts(kind)
    ] == []


def test_every_key_stands_on_the_page() -> None:
    text = page()
    for kind in KINDS:
        for key in kind.__struct_encode_fields__:
            assert f"| `{key}` | " in text
