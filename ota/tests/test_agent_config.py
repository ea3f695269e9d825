"""The file of a device's updates, and a device that has none of what it needs."""

from pathlib import Path

import msgspec
import pytest

from ota.agent.agent import UpdateAgent
from ota.agent.config import ConfigError, read_config
from ota.tests.agent_device import Device

SECONDARY = """[ecu.lamp]
hardware = "lamp-c3"
family = "buoy/lamp"
line = "tcp://192.0.2.7:7000"
key_file = "lamp.key"
"""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("main]", "other]"), "ecu.other: a secondary has a line"),
        (("steady_s", "steady"), "health"),
        (('"rsu-arm64"', '"no space"'), "ecu"),
        (("[health]", "[helth]"), "helth"),
        (("steady_s = 60", "steady_s = true"), "health.steady_s"),
        (('[images]\nurl = "http://', '[images]\nurl = "http://[x'), "images.url: this is no address"),
        (('[images]\nurl = "http://', '[images]\nurl = "http:///x'), "images.url: this is no address"),
        (
            ("[director]\n", '[director]\nproxy = "http://me:s3cret@depot:99999"\n'),
            "director.proxy: this is no address",
        ),
        (("[images]\n", '[images]\nmirrors = ["http://a", "http://b:x"]\n'), "images.mirrors: this is no address"),
        (("[health]", SECONDARY.replace("7000", "70000") + "[health]"), "ecu.lamp.line: this is no address"),
        (("[health]", SECONDARY.replace("ecu.lamp", 'ecu."lamp\\n"') + "[health]"), "ecu"),
    ],
)
def test_a_wrong_file_is_said_in_one_line_with_its_place(device: Device, change: tuple[str, str], why: str):
    file = device.folder / "update.toml"
    file.write_text(file.read_text().replace(*change))
    with pytest.raises(ConfigError) as caught:
        read_config(file)
    assert str(file) in str(caught.value)
    assert why in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_device_that_is_not_set_up_says_so(tmp_path: Path, device: Device):
    config = msgspec.structs.replace(device.config, data=str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match="not set up"):
        UpdateAgent(config, running="a")
