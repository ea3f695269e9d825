"""The file of a device's updates, and a device that has none of what it needs."""

from pathlib import Path

import msgspec
import pytest

from ota.agent.agent import UpdateAgent
from ota.agent.config import ConfigError, read_config
from ota.tests.agent_device import Device


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("main]", "other]"), "ecu.other: a secondary has a line"),
        (("steady_s", "steady"), "health"),
        (('"rsu-arm64"', '"no space"'), "ecu"),
        (("[health]", "[helth]"), "helth"),
        (("steady_s = 60", "steady_s = true"), "health.steady_s"),
    ],
)
def test_a_wrong_file_is_said_in_one_line_with_its_place(device: Device, change: tuple[str, str], why: str):
    file = device.folder / "update.toml"
    file.write_text(file.read_text().replace(*change))
    with pytest.raises(ConfigError) as caught:
        read_config(file)
    assert str(file) in str(caught.value)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_device_that_is_not_set_up_says_so(tmp_path: Path, device: Device):
    config = msgspec.structs.replace(device.config, data=str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match="not set up"):
        UpdateAgent(config, running="a")
