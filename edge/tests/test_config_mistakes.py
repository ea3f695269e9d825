"""Every kind of mistake is named with its line, its path, what is wrong and what would be right."""

from pathlib import Path

import pytest

from edge.gateway.config import MAX_DOCUMENT_BYTES, ConfigError, load_config, parse_config
from edge.tests.config_documents import HEAD, mistakes, parse

METER = '[[device]]\nname = "m1"\ndriver = "modbus"\nmap = "eastron_sdm630"\n'
"""Needs a bus or a port yet."""
PORT = 'port = "tcp:10.0.0.7:502"\n'
BUS = '[[bus]]\nname = "b1"\nport = "serial:/dev/ttyS1"\n'
NAME = "a name: a-z, 0-9, _ and -, at most 63, a letter or digit first"


@pytest.mark.parametrize(
    ("tail", "line", "path", "text"),
    [
        # keys that are not known
        (METER + PORT + "unit = 1\n", 6, "device[0].unit", 'nearest known one is "unit_id"'),
        ("[jurnal]\nquota_mb = 1\n", 1, "jurnal", 'nearest known one is "journal"'),
        ("[status]\n\nprometeus = 1\n", 3, "status.prometeus", 'nearest known one is "prometheus"'),
        (
            "[journal.lane.telemetri]\nquota_mb = 1\n",
            1,
            "journal.lane.telemetri",
            'one of "event", "telemetry", "transaction"',
        ),
        ('[privacy]\n"hash key" = "x"\n', 2, 'privacy."hash key"', 'nearest known one is "hash_key"'),
        # values of the wrong kind, or out of bounds
        ("[journal]\nquota_mb = 0\n", 2, "journal.quota_mb", "is 0, must be a number from 1 to 1000000"),
        ('[journal]\nquota_mb = "256"\n', 2, "journal.quota_mb", 'is "256", must be a number from 1 to 1000000'),
        ("[journal]\nquota_mb = nan\n", 2, "journal.quota_mb", "is nan, must be"),
        ("[journal]\nquota_mb = inf\n", 2, "journal.quota_mb", "is inf, must be"),
        ("[journal]\nquota_mb = 1" + "0" * 40 + "\n", 2, "journal.quota_mb", "must be a number from 1 to 1000000"),
        ("[journal]\nquota_mb = true\n", 2, "journal.quota_mb", "is true, must be"),
        ("journal = 1\n[status]\n", 1, "uplink.mqtt.journal", "not a known key"),  # it stands below [uplink.mqtt]
        ("[journal]\nlane = []\n", 2, "journal.lane", "is a list, must be a table"),
        (METER + PORT + "unit_id = 300\n", 6, "device[0].unit_id", "is 300, must be a whole number from 0 to 255"),
        (METER + PORT + "unit_id = 1.0\n", 6, "device[0].unit_id", "is 1.0, must be a whole number from 0 to 255"),
        (METER + PORT + "period_s = 0\n", 6, "device[0].period_s", "is 0, must be a number from 0.005 to 86400"),
        (
            METER + PORT + 'report = "sometimes"\n',
            6,
            "device[0].report",
            'is "sometimes", must be one of "all", "change"',
        ),
        (METER.replace("m1", "M 1") + PORT, 2, "device[0].name", f'is "M 1", must be {NAME}'),
        (METER.replace('"m1"', '"m1\\n"') + PORT, 2, "device[0].name", "must be a name"),
        (METER.replace('"m1"', "1979-05-27") + PORT, 2, "device[0].name", "is 1979-05-27, must be a name"),
        (
            "[commands]\nharmless = [\n  'vms.*',\n  'VMS show',\n]\n",
            4,
            "commands.harmless[1]",
            'is "VMS show", must be',
        ),
        # what is missing
        (
            '[[device]]\ndriver = "gnss"\nport = "pty:/dev/pts/1"\n',
            1,
            "device[0]",
            f'"name" is missing, must be {NAME}',
        ),
        ('[[device]]\nname = "x"\n', 1, "device[0]", '"driver" is missing, must be one of card_reader, gnss, modbus'),
        (METER, 1, "device[0]", "bus or port is missing"),
        ('[[device]]\nname = "g"\ndriver = "gnss"\n', 1, "device[0]", "port is missing"),
        ('[[device]]\nname = "x"\ndriver = "modbus"\n' + PORT, 1, "device[0]", "nothing is read"),
        # names that refer to nothing
        ('[[device]]\nname = "x"\ndriver = "modbuss"\n', 3, "device[0].driver", 'the nearest is "modbus"'),
        ('[[device]]\nname = "x"\ndriver = 3\n', 3, "device[0].driver", "there are: card_reader, gnss, modbus"),
        (BUS + METER + 'bus = "b2"\n', 8, "device[0].bus", 'is "b2", which does not exist; the nearest is "b1"'),
        (METER + 'bus = "b2"\n', 5, "device[0].bus", 'is "b2", but there is no [[bus]]'),
        (METER.replace("eastron_sdm630", "eastron630") + PORT, 4, "device[0].map", 'the nearest is "eastron_sdm630"'),
        # tables that do not fit each other
        (METER + PORT + METER + PORT, 7, "device[1].name", 'is "m1" like device[0].name'),
        (BUS + BUS.replace("S1", "S2"), 5, "bus[1].name", 'is "b1" like bus[0].name'),
        (BUS + BUS.replace("b1", "b2"), 6, "bus[1].port", "is the line of bus[0] already"),
        (BUS + METER + 'port = "serial:/dev/ttyS1?baud=19200"\n', 8, "device[0].port", "is the line of bus[0] already"),
        (BUS + METER + PORT + 'bus = "b1"\n', 8, "device[0].port", "stands beside bus; a device has one of them"),
        (
            BUS + '[[device]]\nname = "g"\ndriver = "gnss"\nbus = "b1"\n',
            7,
            "device[0].bus",
            "give it a port of its own",
        ),
        (BUS.replace("serial:/dev/ttyS1", "/dev/ttyS1"), 3, "bus[0].port", "a port starts with serial:, pty: or tcp:"),
        (METER + 'port = "tcp:10.0.0.7"\n', 5, "device[0].port", "tcp:HOST:PORT"),
        (METER + 'port = "serial:/dev/ttyS1?baud=12"\n', 5, "device[0].port", "baud is a number from 50 to 4000000"),
        (
            '[[device]]\nname = "r"\ndriver = "card_reader"\nport = "serial:/dev/ttyS1"\n',
            3,
            "device[0].driver",
            '[privacy] hash_key = "FILE" is needed',
        ),
        ("[journal]\nquota_mb = 9\n[journal.lane.event]\nquota_mb = 10\n", 3, "journal.lane", "are 10 together"),
        ('[commands]\nharmless = ["*"]\n', 2, "commands.harmless[0]", "anybody who reaches the broker"),
        ('[status]\nprometheus = "127.0.0.1:0"\n', 2, "status.prometheus", "a port from 1 to 65535"),
        ('[status]\nprometheus = "9464"\n', 2, "status.prometheus", 'is "9464", must be'),
        ('[[role]]\nkind = "hydro_station"\n', 2, "role[0].kind", 'is "hydro_station"; this version has no roles'),
        # the wrong number of brackets
        ('[device]\nname = "x"\n', 1, "device", "must be tables with double brackets: [[device]]"),
        ("[[journal]]\nquota_mb = 1\n", 1, "journal", "is a list, must be a table"),
    ],
)
def test_a_mistake_is_named_with_its_line(tail: str, line: int, path: str, text: str) -> None:
    found = mistakes(tail)
    assert [(found_line, found_path) for found_line, found_path, _text in found] == [(line, path)]
    assert text in found[0][2]


POINT = '[[device.point]]\nname = "level_m"\ntable = "holding"\naddress = 40\n'


@pytest.mark.parametrize(
    ("point", "line", "path", "text"),
    [
        (POINT + "adress = 4\n", 10, "device[0].point[0].adress", 'nearest known one is "address"'),
        (POINT.replace("40", "70000"), 9, "device[0].point[0].address", "must be a whole number from 0 to 65535"),
        (POINT.replace("holding", "hold"), 8, "device[0].point[0].table", 'is "hold", must be one of'),
        (POINT + POINT, 1, "device[0]", "level_m stands twice"),
        (POINT.replace("level_m", "power_w"), 1, "device[0]", "power_w stands twice"),  # a point of the map
        (POINT + 'type = "bits"\nwords = 3\n', 6, "device[0].point[0]", "bits fill 1, 2 or 4 registers, not 3"),
    ],
)
def test_a_mistake_in_a_point_is_named_with_its_line(point: str, line: int, path: str, text: str) -> None:
    found = mistakes(METER + PORT + point)
    assert [(found_line, found_path) for found_line, found_path, _text in found] == [(line, path)]
    assert text in found[0][2]


@pytest.mark.parametrize(
    ("head", "line", "path", "text"),
    [
        ("", 1, "node", "is missing: the table [node] is needed"),
        (HEAD.replace('id = "rsu-7f3a"\n', ""), 1, "node", '"id" is missing'),
        (HEAD.replace("rsu-7f3a", "ingest"), 2, "node.id", 'is "ingest", which the broker takes for the ingest side'),
        (
            HEAD.replace("rsu-7f3a", "rollout"),
            2,
            "node.id",
            'is "rollout", which the broker takes for the rollout side',
        ),
        (
            HEAD.replace('acknowledged_by = "broker"\n', ""),
            5,
            "uplink.mqtt",
            '"acknowledged_by" is missing, must be one of',
        ),
        (HEAD.replace("mqtt://localhost", "mqtt://10.0.0.1"), 6, "uplink.mqtt.brokers", "insecure_plain_mqtt = true"),
        (
            HEAD.replace("mqtt://localhost", "mqtts://b.example"),
            6,
            "uplink.mqtt.brokers",
            "needs the table [uplink.mqtt.tls]",
        ),
        (
            HEAD.replace("mqtt://localhost", "http://localhost"),
            6,
            "uplink.mqtt.brokers[0]",
            'is "http://localhost", must be',
        ),
        (HEAD.replace('["mqtt://localhost"]', "[]"), 6, "uplink.mqtt.brokers", "a list of at least 1"),
    ],
)
def test_node_and_uplink_are_held_to_their_rules(head: str, line: int, path: str, text: str) -> None:
    found = [problem for problem in mistakes(head=head) if problem[1] == path]
    assert [found_line + head.count("\n") for found_line, _path, _text in found] == [line]
    assert text in found[0][2]


def test_mistakes_of_all_tables_come_together_in_the_order_of_their_lines() -> None:
    found = mistakes(
        """
        [journal]
        quota_mb = 0
        quota = 1

        [[bus]]
        name = "b1"
        port = "nonsense"

        [[device]]
        name = "m1"
        driver = "modbus"
        bus = "b3"
        unit_id = 999
        [[device.point]]
        name = "x"
        [[device.point]]
        name = "y"
        table = "z"

        [[device]]
        name = "m2"
        driver = "modbus"
        bus = "b3"
        map = "eastron_sdm630"

        [[device]]
        name = "m2"
        driver = "nothing"
        """
    )
    assert [(line, path) for line, path, _text in found] == [
        (3, "journal.quota_mb"),
        (4, "journal.quota"),
        (8, "bus[0].port"),
        (14, "device[0].unit_id"),
        (15, "device[0].point[0]"),
        (15, "device[0].point[0]"),
        (17, "device[0].point[1]"),
        (19, "device[0].point[1].table"),
        (24, "device[1].bus"),
        (29, "device[2].driver"),
    ]


def test_a_device_may_name_a_bus_whose_own_table_is_wrong() -> None:
    found = mistakes(BUS + "baud = 9600\n" + METER + 'bus = "b1"\n')
    assert [path for _line, path, _text in found] == ["bus[0].baud"]


@pytest.mark.parametrize(
    ("document", "line", "text"),
    [
        ("[node]\nid = rsu\n", 2, 'a text stands in quotes: name = "meter-1"'),
        ("[node]\nid\n", 2, "a line is key = value"),
        ('[node]\nid = "a"\nid = "b"\n', 3, "this key stands in its table already"),
        ("[node]\n[bus]\n[node]\n", 3, "this table stands above already"),
        ('[node]\nid = "a" b\n', 2, "one key = value a line"),
        ('[node]\nid = "C:\\dir"\n', 2, "write \\\\ for \\"),
        ("[node\n", 1, "is not TOML"),
        ('[node]\nid = "a', 2, "is not TOML"),
        ("a = [1,\n\n", 1, "is not TOML"),
        ("a = " + "[" * 100_000, 1, "nested deeper than any configuration"),
        ("a = " + "9" * 5_000, 1, "is not TOML"),
        ("a = 2024-13-45", 1, "is not TOML"),
        ("\x00", 1, "is not TOML"),
    ],
)
def test_what_is_not_toml_is_named_with_its_line(document: str, line: int, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(document.encode(), Path("node.toml"))
    assert [problem.line for problem in caught.value.problems] == [line]
    assert text in str(caught.value)
    assert str(caught.value).startswith(f"node.toml:{line}: ")


def test_what_is_not_text_is_named_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"^x:2: is not text in UTF-8"):
        parse_config(b"[node]\nid = '\xff'\n", Path("x"))


def test_a_huge_document_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(ConfigError, match="is larger than 1000000 bytes"):
        parse_config(b"#" * (MAX_DOCUMENT_BYTES + 1), Path("x"))


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml:1: cannot be read: No such file"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "a\0b")


def test_a_problem_reads_as_one_line_with_file_line_and_path() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("[journal]\nquota_mb = 0\n", file=Path("conf/node.toml"))
    assert str(caught.value) == "conf/node.toml:9: journal.quota_mb: is 0, must be a number from 1 to 1000000"


def test_a_key_pasted_in_place_of_its_file_is_not_repeated() -> None:
    tail = "[privacy]\nhash_key = ['-----BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2VwBCIEIG']\nx = 'y'\n"
    assert "MC4CAQ" not in str(mistakes(tail))
    tail = "[[device]]\nname = '-----BEGIN PRIVATE KEY----- MC4CAQAwBQYDK2VwBCIEIG'\ndriver = 'gnss'\n"
    assert "MC4CAQ" not in str(mistakes(tail))


def test_long_values_are_cut_short() -> None:
    assert len(mistakes(f"[status]\nprometheus = '{'x' * 10_000}'\n")[0][2]) < 300


def test_the_number_of_problems_is_bounded() -> None:
    found = mistakes("".join(f"k{number} = 1\n" for number in range(1000)))
    assert len(found) == 101
    assert found[-1] == (101, "", "and 900 more problems")
