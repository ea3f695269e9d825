"""`wayside service install`: what it would do, what it writes into an image, and what systemd says to the unit."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ota.slots.record import make_key
from ota.storage import PosixStorage
from tools.cli import app
from tools.service import drop_in_text

CONFIG = """
[node]
id = "rsu-7f3a"
data = "/var/lib/wayside/rsu-7f3a"

[uplink.mqtt]
brokers = ["mqtt://localhost:1883"]
acknowledged_by = "ingest"
"""


UPDATES = CONFIG + '\n[update]\nfile = "update.toml"\n'


def wayside(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["service", "install", *map(str, arguments)])


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "image/etc/wayside").mkdir(parents=True)
    (tmp_path / "image/etc/wayside/node.toml").write_text(CONFIG, "utf-8")
    return tmp_path / "image"


@pytest.fixture
def with_slots(tmp_path: Path) -> Path:
    """A configuration whose update agent has its first release."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/node.toml").write_text(UPDATES, "utf-8")
    (tmp_path / "etc/update.toml").write_text('data = "../slots"\n', "utf-8")
    (tmp_path / "slots").mkdir()
    make_key(PosixStorage(tmp_path / "slots"), bytes(32))
    return tmp_path / "etc/node.toml"


def directives(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


def test_the_dry_run_shows_everything_and_does_nothing(tmp_path: Path) -> None:
    file = tmp_path / "cabinet-7.toml"
    file.write_text(CONFIG, "utf-8")
    steps: list[dict[str, Any]] = json.loads(wayside(file, "--dry-run", "--json").stdout)["steps"]
    assert [step["write"] for step in steps if "write" in step] == [
        "/etc/sysusers.d/wayside.conf",
        "/etc/systemd/system/wayside@.service",
        "/etc/systemd/system/wayside@cabinet-7.service.d/configuration.conf",
    ]
    commands = [" ".join(step["run"]) for step in steps if "run" in step]
    assert commands[0].startswith("systemd-sysusers")
    assert commands[-1] == "systemctl restart wayside@cabinet-7"
    assert any(f"check {file}" in command for command in commands)
    result = wayside(file, "--dry-run")
    assert (result.exit_code, "nothing was done" in result.stderr) == (0, True)
    assert "ProtectSystem=strict" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["cabinet-7.toml"]


def test_an_image_gets_its_files_and_nothing_is_run(image: Path) -> None:
    result = wayside("/etc/wayside/node.toml", "--root", image, "--user", "gateway", "--json")
    assert (result.exit_code, json.loads(result.stdout)["service"]) == (0, "wayside@node")
    units = image / "etc/systemd/system"
    unit = directives((units / "wayside@.service").read_text())
    assert unit["User"] == unit["Group"] == "gateway"
    assert unit["ExecStart"] == f"{sys.executable} -P -m edge ${{WAYSIDE_CONFIG}}"
    expected = {
        "Type": "notify", "WatchdogSec": "30", "Restart": "always", "ProtectSystem": "strict", "PrivateTmp": "yes",
        "NoNewPrivileges": "yes", "SupplementaryGroups": "dialout", "ExecReload": "/bin/kill -HUP $MAINPID",
    }  # fmt: skip
    assert expected.items() <= unit.items()
    drop_in = (units / "wayside@node.service.d/configuration.conf").read_text()
    assert "Environment=WAYSIDE_CONFIG=/etc/wayside/node.toml\nReadWritePaths=/var/lib/wayside/rsu-7f3a\n" in drop_in
    link = units / "multi-user.target.wants/wayside@node.service"
    assert link.readlink() == Path("/etc/systemd/system/wayside@.service")
    assert (image / "etc/sysusers.d/wayside.conf").read_text().startswith("u gateway ")
    before = sorted(str(path) for path in image.rglob("*"))
    assert wayside("/etc/wayside/node.toml", "--root", image).exit_code == 0  # again: the same files
    assert sorted(str(path) for path in image.rglob("*")) == before


def test_with_updates_the_launcher_starts_it_out_of_its_slots(with_slots: Path) -> None:
    steps = json.loads(wayside(with_slots, "--updates", "--dry-run", "--json").stdout)["steps"]
    slots = with_slots.parents[1] / "slots"
    (drop_in,) = [step["text"] for step in steps if step.get("write", "").endswith("configuration.conf")]
    launcher = f"{sys.executable} -P -m ota.launcher {slots} ${{WAYSIDE_CONFIG}}"
    assert f"ReadWritePaths={slots}\nExecStart=\nExecStart={launcher}\n" in drop_in
    commands = [" ".join(step["run"]) for step in steps if "run" in step]
    assert commands.index(f"chown -R wayside:wayside {slots}") < commands.index("systemctl daemon-reload")
    plain = wayside(with_slots, "--dry-run").stdout
    assert "ota.launcher" not in plain, "without the option the same file starts it as ever"
    assert "configuration.conf" in plain


def test_an_image_gets_the_launcher_and_gives_the_slots_to_their_user(image: Path) -> None:
    (image / "etc/wayside/node.toml").write_text(UPDATES, "utf-8")
    (image / "etc/wayside/update.toml").write_text('data = "/var/lib/wayside/update"\n', "utf-8")
    arguments = ("/etc/wayside/node.toml", "--root", image, "--updates")
    assert wayside(*arguments).exit_code == 0
    drop_in = (image / "etc/systemd/system/wayside@node.service.d/configuration.conf").read_text()
    assert f"ExecStart={sys.executable} -P -m ota.launcher /var/lib/wayside/update ${{WAYSIDE_CONFIG}}\n" in drop_in
    assert 'Z "/var/lib/wayside/update" - wayside wayside\n' in (image / "etc/tmpfiles.d/wayside-node.conf").read_text()
    slots = image / "var/lib/wayside/update"
    slots.mkdir(parents=True)
    (slots / "something").touch()
    refused = wayside(*arguments)
    assert (refused.exit_code, f"{slots}: no release can be read there" in refused.stderr) == (1, True)
    make_key(PosixStorage(slots), bytes(32))
    assert wayside(*arguments).exit_code == 0
    (image / "etc/wayside/update.toml").write_text('data = "slots/one"\n', "utf-8")
    assert " /etc/wayside/slots/one " in wayside(*arguments, "--dry-run").stdout, "as it will be on the box"


@pytest.mark.parametrize(
    ("update", "document", "code", "says"),
    [
        (None, CONFIG, 2, "--updates needs a configuration that names a file in [update]"),
        (None, UPDATES, 2, "update.toml: No such file"),
        ("data = 1", UPDATES, 2, "update.toml: data names no folder"),
        ('data = "/slots"', UPDATES, 2, "/slots: a folder of its own is needed"),
        ('data = "slots"', UPDATES, 1, "slots: no release can be read there; wayside ota setup"),
    ],
)
def test_without_slots_there_is_nothing_to_launch(
    tmp_path: Path, update: str | None, document: str, code: int, says: str
) -> None:
    (tmp_path / "node.toml").write_text(document, "utf-8")
    if update is not None:
        (tmp_path / "update.toml").write_text(update, "utf-8")
    result = wayside(tmp_path / "node.toml", "--updates", "--dry-run")
    assert (result.exit_code, says in result.stderr) == (code, True), result.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("options", [(), ("--updates",)], ids=["plain", "updates"])
def test_systemd_finds_nothing_to_complain_about(image: Path, options: tuple[str, ...]) -> None:
    (image / "etc/wayside/node.toml").write_text(UPDATES, "utf-8")
    (image / "etc/wayside/update.toml").write_text('data = "/var/lib/wayside/update"\n', "utf-8")
    assert wayside("/etc/wayside/node.toml", "--root", image, "--user", "root", *options).exit_code == 0
    units = image / "etc/systemd/system"
    (units / "wayside@node.service").symlink_to("wayside@.service")
    environment = os.environ | {"SYSTEMD_UNIT_PATH": f"{units}:"}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "wayside@node.service"],
        check=False, capture_output=True, text=True, env=environment, timeout=60,
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if "wayside" in line]
    assert (done.returncode, complaints) == (0, []), done.stderr
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=45", str(units / "wayside@.service")],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def test_words_that_systemd_would_take_apart_are_quoted() -> None:
    text = drop_in_text(Path('/etc/way side/100%"x\\.toml'), Path("/srv/a b"))
    assert 'Environment="WAYSIDE_CONFIG=/etc/way side/100%%\\"x\\\\.toml"' in text
    assert 'ReadWritePaths="/srv/a b"' in text
    launched = drop_in_text(Path("/etc/node.toml"), Path("/srv/a"), Path("/srv/$1 %h"))
    assert '-m ota.launcher "/srv/$$1 %%h" ${WAYSIDE_CONFIG}' in launched
    assert "ProtectHome=read-only" in drop_in_text(Path("/home/me/node.toml"), Path("/srv"))


def test_without_root_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    file = tmp_path / "node.toml"
    file.write_text(CONFIG, "utf-8")
    result = wayside(file)
    assert (result.exit_code, "sudo" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("name", "text", "options", "says"),
    [
        ("node.toml", CONFIG.replace("acknowledged_by", "acked"), [], "acked"),
        ("no de.toml", CONFIG, [], "no de"),
        ("node.toml", CONFIG, ["--user", "Bad Name"], "--user"),
        ("node.toml", CONFIG, ["--root", "/tmp/x"], "x"),
    ],
)
def test_what_cannot_be_installed_ends_with_2(
    tmp_path: Path, name: str, text: str, options: list[str], says: str
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    result = wayside(tmp_path / name, "--dry-run", *options)
    assert (result.exit_code, says in result.output) == (2, True)


@pytest.mark.parametrize(("data", "code"), [("/", 2), ("/var", 2), ("/usr/lib", 1), (".", 1)])
def test_a_folder_of_somebody_else_is_not_taken_over(tmp_path: Path, data: str, code: int) -> None:
    file = tmp_path / "node.toml"
    file.write_text(CONFIG.replace("/var/lib/wayside/rsu-7f3a", data), "utf-8")
    assert wayside(file, "--dry-run").exit_code == code


def test_a_folder_that_a_gateway_has_used_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "var/journal").mkdir(parents=True)
    file = tmp_path / "node.toml"
    file.write_text(CONFIG.replace("/var/lib/wayside/rsu-7f3a", "var"), "utf-8")
    assert f"chown -R wayside:wayside {tmp_path}/var" in wayside(file, "--dry-run").stdout


def test_a_missing_configuration_ends_with_2(tmp_path: Path) -> None:
    result = wayside(tmp_path / "none.toml", "--json")
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (2, False)
