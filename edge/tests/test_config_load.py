"""A right configuration: what becomes of it. And hostile ones: they are refused, in time, and by the one error."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.catalogue import DRIVERS
from edge.gateway.config import ConfigError, ConfigProblem, digest_of, load_config, parse_config
from edge.tests.config_documents import HEAD, parse

EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples").glob("*.toml"))
METER = '[[device]]\nname = "m1"\ndriver = "modbus"\nmap = "eastron_sdm630"\nport = "tcp:10.0.0.7:502"\n'


def test_what_stands_nowhere_has_its_default() -> None:
    config = parse()
    assert config.node.id == "rsu-7f3a"
    assert config.uplink.mqtt.acknowledged_by == "broker"
    assert config.journal.quota_mb == 256
    assert config.journal.lane == {}
    assert (config.commands.harmless, config.commands.operator) == ((), ())
    assert config.privacy.hash_key is None
    assert config.status.prometheus is None
    assert (config.bus, config.device) == ((), ())


def test_devices_have_the_types_of_their_drivers_in_the_order_of_the_file() -> None:
    config = parse(
        """
        [[bus]]
        name = "b1"
        port = "serial:/dev/ttyS1?baud=9600"
        [[device]]
        name = "gnss"
        driver = "gnss"
        port = "pty:/dev/pts/3"
        [[device]]
        name = "m1"
        driver = "modbus"
        bus = "b1"
        map = "eastron_sdm630"
        period_s = 2
        """
    )
    assert [type(device) for device in config.device] == [
        DRIVERS["gnss"].config_type(),
        DRIVERS["modbus"].config_type(),
    ]
    assert config.bus[0].port == "serial:/dev/ttyS1?baud=9600"
    assert config.device[1].period_s == 2.0


def test_file_names_count_from_the_folder_of_the_file() -> None:
    config = parse(
        """
        [uplink.mqtt.tls]
        ca = "pki/ca.pem"
        cert = "/srv/node.pem"
        key = "../node.key"
        [privacy]
        hash_key = "p.key"
        [[commands.operator]]
        name = "ops-1"
        key = "keys/ops-1.pub"
        ops = ["modbus.write", "vms.*", "*"]
        """,
        file=Path("/etc/wayside/node.toml"),
    )
    assert config.node.data == "/etc/wayside/var"
    tls = config.uplink.mqtt.tls
    assert tls is not None
    assert (tls.ca, tls.cert, tls.key) == ("/etc/wayside/pki/ca.pem", "/srv/node.pem", "/etc/wayside/../node.key")
    assert config.privacy.hash_key == "/etc/wayside/p.key"
    assert config.commands.operator[0].key == "/etc/wayside/keys/ops-1.pub"


def test_a_register_map_of_ones_own_counts_from_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    text = 'title = { en = "x" }\nsource = "x"\n[points]\nlevel_m = { table = "holding", address = 1 }\n'
    (tmp_path / "maps" / "own.toml").write_text(text)
    config = parse(METER.replace("eastron_sdm630", "maps/own.toml"), file=tmp_path / "node.toml")
    assert config.device[0].map == str(tmp_path / "maps" / "own.toml")
    (tmp_path / "maps" / "own.toml").write_text("nonsense")
    with pytest.raises(ConfigError, match=r"node\.toml:11: device\[0\]\.map: .*own\.toml: is not TOML"):
        parse(METER.replace("eastron_sdm630", "maps/own.toml"), file=tmp_path / "node.toml")


def test_a_file_from_a_windows_editor_is_read(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_bytes(b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode())
    assert load_config(file).digest == parse().digest


def test_comments_spaces_and_order_are_no_change_and_values_are() -> None:
    """Rows 1 and 2: whether a push is equal is told by the digest."""
    digest = parse(METER).digest
    assert digest.startswith("sha256:")
    assert len(digest) == len("sha256:") + 64
    assert parse("# a comment\n" + METER.replace(" = ", "=  ")).digest == digest
    assert parse(METER, file=Path("/elsewhere/node.toml")).digest == digest
    swapped = HEAD.replace('id = "rsu-7f3a"\ndata = "var"\n', 'data = "var"\nid = "rsu-7f3a"\n')
    assert parse(METER, head=swapped).digest == digest
    assert parse(METER.replace("m1", "m2")).digest != digest
    assert digest_of({}) != digest_of({"a": {}})


def test_a_device_whose_table_did_not_change_is_equal() -> None:
    one, other = parse(METER), parse("[journal]\nquota_mb = 9\n" + METER + METER.replace("m1", "m2"))
    assert one.device[0] == other.device[0]
    assert one.device[0] != other.device[1]


@pytest.mark.parametrize("file", EXAMPLES, ids=[file.stem for file in EXAMPLES])
def test_the_examples_of_the_documentation_are_right(file: Path) -> None:
    assert load_config(file).device


@given(st.binary(max_size=200))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_any_bytes_are_refused_by_the_one_error(document: bytes) -> None:
    with pytest.raises(ConfigError):
        parse_config(document, Path("x"))


_scalar = st.one_of(st.booleans().map(str).map(str.lower), st.integers().map(str), st.just('"a"'), st.just("nan"))
_odd = st.recursive(
    _scalar,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(lambda i: f"[{','.join(i)}]"), inner.map("{{a={}}}".format)
    ),
)


@given(st.data())
@settings(derandomize=True, deadline=None, max_examples=150)
def test_any_value_in_any_place_is_taken_or_refused_by_the_one_error(data: st.DataObject) -> None:
    lines = EXAMPLES[0].read_text("utf-8").splitlines()
    at = data.draw(st.sampled_from([number for number, line in enumerate(lines) if " = " in line and line[0] != "#"]))
    key = lines[at].split(" = ")[0]
    lines[at] = data.draw(st.sampled_from([f"{key} = {data.draw(_odd)}", f"{key}x = 1", f"[{key}]", f"[[{key}]]", ""]))
    problems: tuple[ConfigProblem, ...] = ()
    try:
        parse_config("\n".join(lines).encode(), Path("x"))
    except ConfigError as error:
        problems = error.problems
    assert all(str(problem).startswith("x:") and "\n" not in str(problem) for problem in problems)


@pytest.mark.parametrize(
    "document",
    [
        "a.b.c = 1\n" * 50_000,
        ".".join(["a"] * 100_000) + " = 1",
        "[" + ".".join(["a"] * 100_000) + "]",
        HEAD + "x = 1\n" + "".join(f"k{number} = 1\n" for number in range(20_000)),
        HEAD + "".join(f'[[device]]\nname = "d{number}"\ndriver = "x"\n' for number in range(20_000)),
        HEAD + "[[device]]\n" * 60_000,
        "'" * 900_000,
        'a = """' + "\\" * 900_000,
    ],
    ids=range(8),
)
def test_a_hostile_document_is_refused_soon(document: str) -> None:
    began = time.process_time()
    with pytest.raises(ConfigError):
        parse_config(document.encode()[:1_000_000], Path("x"))
    assert time.process_time() - began < 20


def test_loading_brings_in_no_driver_that_is_not_used_and_no_cryptography(tmp_path: Path) -> None:
    """The gateway has 0.4 s from start to its first point."""
    file = tmp_path / "node.toml"
    file.write_text(HEAD + METER)
    program = (
        "import sys, pathlib, edge.gateway.config as c; c.load_config(pathlib.Path(sys.argv[1])); "
        "print({'cryptography', 'drivers.card_reader', 'drivers.gnss', 'typer', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
