"""`wayside check`: exit 0 or 2, each mistake on a line of its own, nothing opened."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge.identity.development_ca import CA_CERTIFICATE, DevelopmentCa
from edge.tests.config_documents import HEAD
from tools.cli import app

EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples").glob("*.toml"))


def check(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def test_a_right_configuration_exits_0_and_leaves_stdout_empty(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(HEAD)
    result = check(file)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{file}: no mistake found\n"
    assert json.loads(check(file, "--json").stdout) == {"ok": True, "problems": [], "hints": []}
    assert list(tmp_path.iterdir()) == [file]


def test_a_wrong_one_exits_2_and_names_each_mistake_on_a_line(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(HEAD + "[journal]\nquota_mb = 0\nquota = 1\n")
    result = check(file)
    assert result.exit_code == 2
    assert result.stdout.splitlines() == [
        f"{file}:9: journal.quota_mb: is 0, must be a number from 1 to 1000000",
        (
            f"{file}:10: journal.quota: is not a known key; "
            'the nearest known one is "quota_mb" (known here: quota_mb, lane)'
        ),
    ]
    assert result.stderr == "2 problems\n"
    answer = json.loads(check(file, "--json").stdout)
    assert answer["ok"] is False
    assert answer["problems"][0] == {
        "file": str(file),
        "line": 9,
        "path": "journal.quota_mb",
        "text": "is 0, must be a number from 1 to 1000000",
    }


def test_files_that_it_names_are_looked_for_unless_it_is_for_another_box(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(HEAD + '[privacy]\nhash_key = "none.key"\n')
    result = check(file)
    assert result.exit_code == 2
    assert result.stdout.startswith(f"{file}:9: privacy.hash_key: {tmp_path}/none.key cannot be read")
    assert check(file, "--document").exit_code == 0


@pytest.mark.parametrize("file", EXAMPLES, ids=[file.stem for file in EXAMPLES])
def test_the_examples_of_the_documentation_are_right(file: Path) -> None:
    assert check(file, "--document").exit_code == 0


def test_what_is_no_configuration_exits_2(tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "none.toml", "/dev/null"):
        result = check(file)
        assert result.exit_code == 2
        assert result.stdout.startswith(f"{file}:1: ")
    assert check().exit_code == 2


def test_a_hostile_key_cannot_command_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(HEAD + '"\\u001b[2J" = "\\u001b[2J"\n')
    assert "\x1b" not in check(file).output


def test_the_schema_is_json() -> None:
    result = check("--schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


METER = '[[device]]\nname = "{name}"\ndriver = "modbus"\nmap = "pzem_016"\n{where}\n'
BUS = '[[bus]]\nname = "{name}"\nport = "{port}"\n'


def hints(tail: str, folder: Path) -> list[str]:
    file = folder / "node.toml"
    file.write_text(HEAD + tail)
    result = check(file, "--document")
    assert result.exit_code == 0, result.output
    lines = [line.removeprefix(f"{file}:") for line in result.stdout.splitlines()]
    assert len(json.loads(check(file, "--document", "--json").stdout)["hints"]) == len(lines)
    if lines:
        assert result.stderr.endswith(f"no mistake found, {len(lines)} hint{'s'[: len(lines) > 1]}\n")
    return lines


def test_an_address_that_stands_twice_on_one_bus_is_a_hint_with_both_lines(tmp_path: Path) -> None:
    meters = "".join(METER.format(name=f"m{n}", where=f'bus = "b1"\nunit_id = {n // 2}') for n in range(2, 5))
    assert hints(BUS.format(name="b1", port="serial:/dev/ttyS1") + meters, tmp_path) == [
        (
            "22: device[1].unit_id: hint: is unit 1 on [[bus]] b1 once more: two devices with one address answer both "
            "at once; device[0].unit_id stands in line 16"
        )
    ]


def test_a_tcp_port_that_stands_twice_is_a_hint_with_both_lines_and_no_mistake(tmp_path: Path) -> None:
    meters = [METER.format(name=f"m{n}", where=f'port = "{port}"\nunit_id = {n}') for n, port in
              enumerate(("tcp:Gate.example:502", "tcp:gate.example:502", "tcp:gate.example:503"), 1)]  # fmt: skip
    assert hints("".join(meters), tmp_path) == [
        (
            "18: device[1].port: hint: is tcp:gate.example:502 once more: many devices take one connection only; "
            "a [[bus]] shares one; device[0].port stands in line 12"
        )
    ]
    shared = BUS.format(name="b1", port="tcp:gate.example:502") + meters[1]
    assert [line.partition(":")[0] for line in hints(shared, tmp_path)] == ["15"]


def test_what_differs_is_no_hint(tmp_path: Path) -> None:
    buses = BUS.format(name="b1", port="serial:/dev/ttyS1") + BUS.format(name="b2", port="serial:/dev/ttyS2")
    places = ('bus = "b1"\nunit_id = 1', 'bus = "b2"\nunit_id = 1', 'bus = "b1"\nunit_id = 2', 'port = "tcp:h:1"')
    assert hints(buses + "".join(METER.format(name=f"m{n}", where=w) for n, w in enumerate(places)), tmp_path) == []


def test_a_serial_line_that_stands_twice_is_a_mistake_with_both_lines(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(HEAD + BUS.format(name="b1", port="serial:/dev/ttyS1") * 2)
    result = check(file, "--document")
    assert result.exit_code == 2
    assert [line.removeprefix(f"{file}:") for line in result.stdout.splitlines()] == [
        '12: bus[1].name: is "b1" like bus[0].name; every name stands once; bus[0].name stands in line 9',
        (
            "13: bus[1].port: is the line of bus[0] already; devices on one line name the same [[bus]]; "
            "bus[0].port stands in line 10"
        ),
    ]


@pytest.mark.parametrize(
    ("age_days", "name", "exit_code", "said"),
    [
        (0, "rsu-7f3a", 0, ""),
        (380, "rsu-7f3a", 0, "uplink.mqtt.tls.cert: hint: {cert} expires on "),
        (500, "rsu-7f3a", 2, "uplink.mqtt.tls.cert: {cert} has expired on "),
        (-9, "rsu-7f3a", 2, "uplink.mqtt.tls.cert: {cert} is valid from "),
        (0, "other", 2, 'uplink.mqtt.tls.cert: {cert} is for "other", must be for "rsu-7f3a": '),
    ],
)
def test_the_nodes_certificate_is_looked_into(
    tmp_path: Path, age_days: int, name: str, exit_code: int, said: str
) -> None:
    issued = datetime.now(UTC) - timedelta(days=age_days)
    credential = DevelopmentCa.create(tmp_path, now=datetime.now(UTC)).issue_client(name, now=issued)
    file = tmp_path / "node.toml"
    tls = f'[uplink.mqtt.tls]\nca = "{CA_CERTIFICATE}"\ncert = "{credential.cert}"\nkey = "{credential.key}"\n'
    file.write_text(HEAD + tls)
    result = check(file)
    assert (result.exit_code, result.stdout.count("\n")) == (exit_code, 1 if said else 0)
    assert result.stdout.startswith(f"{file}:10: {said.format(cert=credential.cert)}" if said else "")
    assert check(file, "--document").stdout == ""


def test_an_authority_that_has_expired_is_said(tmp_path: Path) -> None:
    old = DevelopmentCa.create(tmp_path, now=datetime.now(UTC) - timedelta(days=2_000))
    credential = old.issue_client("rsu-7f3a", now=datetime.now(UTC))
    file = tmp_path / "node.toml"
    tls = f'[uplink.mqtt.tls]\nca = "{old.ca}"\ncert = "{credential.cert}"\nkey = "{credential.key}"\n'
    file.write_text(HEAD + tls)
    result = check(file)
    assert (result.exit_code, result.stdout.count("\n")) == (2, 1)
    assert result.stdout.startswith(f"{file}:9: uplink.mqtt.tls.ca: {old.ca} has expired on ")


def test_a_key_of_another_certificate_is_said_with_what_would_be_right(tmp_path: Path) -> None:
    authority = DevelopmentCa.create(tmp_path, now=datetime.now(UTC))
    credential = authority.issue_client("rsu-7f3a", now=datetime.now(UTC))
    other = authority.issue_client("other", now=datetime.now(UTC))
    file = tmp_path / "node.toml"
    tls = f'[uplink.mqtt.tls]\nca = "{CA_CERTIFICATE}"\ncert = "{credential.cert}"\nkey = "{other.key}"\n'
    file.write_text(HEAD + tls)
    result = check(file)
    assert result.exit_code == 2
    assert result.stdout == (
        f"{file}:8: uplink.mqtt.tls: {other.key} is not the key of {credential.cert}; "
        "name the key that this certificate was made for\n"
    )
