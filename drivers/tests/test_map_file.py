"""Register maps as files: all that are shipped, and every way to get one wrong."""

import os
from importlib.resources import files
from pathlib import Path

import pytest

from drivers.errors import Recovery
from drivers.modbus.map_file import MAX_FILE_BYTES, MapFileError, ShippedMaps, load_map, shipped_map_names
from protocols.modbus_devices.planner import ReadCost, plan_reads
from protocols.modbus_devices.register_map import READ_FUNCTIONS
from protocols.modbus_devices.timing import LineTiming
from protocols.modbus_devices.values import compile_block

GOOD = """\
title = { en = "A gauge", zh = "水位计" }
source = "its manual"

[defaults]
table = "holding"
unit = "mm"

[points]
level = { address = 0x0010, type = "int32", order = "CDAB", scale = 0.1 }
setpoint = { address = 32, writable = true, unit = "Cel" }
"""

FUNCTIONS = {
    "eastron_sdm630": 4,
    "acrel_adw300": 3,
    "carlo_gavazzi_em24": 4,
    "chint_dtsu666": 3,
    "pzem_016": 4,
    "schneider_iem3000": 3,
    "weather_500": 3,
    "thies_clima_us": 4,
    "sokol_m": 3,
    "campbell_metsens500": 3,
    "inclinometer_i32": 3,
    "bolin_cable": 3,
    "mxs485": 3,
    "dfrobot_urm14": 3,
    "seeed_s_yw_01b": 3,
    "radar_level_1003": 3,
    "apc_nmc2": 3,
    "sunspec_103": 3,
    "sunspec_304": 3,
    "sunspec_307": 3,
    "sunspec_802": 3,
    "danfoss_fc51": 3,
    "veda_vf51": 3,
    "fuel_oil_counter": 4,
    "tuf_2000m": 3,
}


def written(folder, text, name="gauge.toml"):
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_all_maps_are_shipped_and_read_by_their_function():
    assert {name: {READ_FUNCTIONS[p.table] for p in shipped.points} for name, shipped in ShippedMaps().items()} == {
        name: {function} for name, function in FUNCTIONS.items()
    }


@pytest.mark.parametrize("name", shipped_map_names())
def test_a_shipped_map_says_what_it_is_and_can_be_polled(name):
    shipped = load_map(name)
    assert shipped.name == name
    assert shipped.title["en"]
    assert shipped.title["zh"]
    assert shipped.source
    assert (files("drivers") / "maps" / f"{name}.toml").read_text("utf-8").startswith("# ")
    read = [point for point in shipped.points if not point.write_only]
    cost = ReadCost.on_line(LineTiming(baud=9600, bits_per_char=10))
    items = [(point.address, point.count) for point in read]
    blocks = plan_reads(items, cost, max_registers=shipped.max_registers, max_hole=shipped.max_hole)
    decoded = 0
    for block in blocks:
        inside = [point for point in read if block.start <= point.address and point.end <= block.end]
        decoded += len(compile_block(inside, block.start, block.count)(bytes(2 * block.count)))
    assert decoded == len(read)


def test_shipped_maps_are_loaded_once_and_by_name_only():
    assert load_map("eastron_sdm630") is load_map("eastron_sdm630")
    maps = ShippedMaps()
    assert "pzem_016" in maps
    assert "../maps/pzem_016" not in maps
    assert len(maps) == len(FUNCTIONS)
    with pytest.raises(KeyError):
        maps["nothing"]


def test_the_meter_that_refuses_odd_starts_has_none():
    meter = load_map("eastron_sdm630")
    assert meter.even_start
    assert meter.max_registers == 80
    assert not any(point.address % 2 for point in meter.points)


def test_only_the_rain_can_be_cleared_and_only_by_its_own_number():
    writable = {name: [p.name for p in shipped.points if p.writable] for name, shipped in ShippedMaps().items()}
    assert {name: points for name, points in writable.items() if points} == {"weather_500": ["rain_clear"]}


def test_a_map_of_ones_own(tmp_path):
    written(tmp_path, GOOD)
    for own in (
        load_map("gauge.toml", tmp_path),
        load_map(tmp_path / "gauge.toml"),
        load_map(str(tmp_path / "gauge.toml")),
    ):
        assert own.name == "gauge"
        level, setpoint = own.points
        assert (level.name, level.table, level.address, level.type, level.unit) == (
            "level",
            "holding",
            16,
            "int32",
            "mm",
        )
        assert (setpoint.unit, setpoint.writable) == ("Cel", True)


def test_a_changed_file_is_read_again(tmp_path):
    path = written(tmp_path, GOOD)
    assert load_map(path).points[0].address == 16
    written(tmp_path, GOOD.replace("0x0010", "0x0020"))
    assert load_map(path).points[0].address == 32


def test_a_name_that_is_not_shipped_gets_the_nearest():
    with pytest.raises(MapFileError, match=r"eastron_sdm63.*eastron_sdm630"):
        load_map("eastron_sdm63")
    with pytest.raises(MapFileError, match="comes with the drivers"):
        load_map("")


@pytest.mark.parametrize(
    ("old", "new", "path", "what"),
    [
        ("address = 0x0010", "adress = 0x0010", "points.level.adress", 'nearest is "address"'),
        ("address = 0x0010, ", "", "points.level", '"address" is missing'),
        ("address = 0x0010", "address = 70000", "points.level.address", "65535"),
        ('type = "int32"', 'type = "int23"', "points.level.type", "uint16, int16"),
        ('order = "CDAB"', 'order = "CABD"', "points.level.order", "ABCD, CDAB, BADC, DCBA"),
        ('table = "holding"', 'table = "holdings"', "points.level.table", "coil, discrete, input, holding"),
        ('table = "holding"', 'tabel = "holding"', "defaults.tabel", 'nearest is "table"'),
        ('table = "holding"\n', "", "points.level", '"table" is missing'),
        ("scale = 0.1", "scale = nan", "points.level.scale", "float"),
        ("scale = 0.1", 'scale = "0.1"', "points.level.scale", "float"),
        ("scale = 0.1", "bit = 3", "points.level", "bit belongs to type bool"),
        ('source = "its manual"', "", "", '"source" is missing'),
        ('source = "its manual"', 'sauce = "its manual"', "sauce", 'nearest is "source"'),
        ('source = "its manual"', 'source = "x"\nmax_registers = 200', "max_registers", "125"),
        ('source = "its manual"', 'source = "x"\neven_start = true\nmax_registers = 1', "", "takes 2 registers"),
        ("[points]", "[defaults.points]", "defaults.points", "not a known key"),
        ("level = {", "Level = {", "points.Level", "small letters"),
        ("setpoint = {", "setpoint = 5  # {", "points.setpoint", "a table such as"),
        ("[points]", "points = 5\n[pints]", "defaults.points", "not a known key"),
        ("[defaults]", "defaults = 5\n[points.level]", "", "not TOML"),
        ("title = {", "title = {{", "", "not TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_path(tmp_path, old, new, path, what):
    assert old in GOOD
    own = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(MapFileError) as caught:
        load_map(own)
    text = str(caught.value)
    assert text.startswith(f"{own}: {path}")
    assert what in text
    assert "\n" not in text
    assert caught.value.recovery is Recovery.GIVE_UP


@pytest.mark.parametrize("text", ["", "points = 5", "defaults = []", "points = []", "title = {}\nsource = ''"])
def test_a_file_without_points_is_refused(tmp_path, text):
    with pytest.raises(MapFileError):
        load_map(written(tmp_path, text))


def test_a_file_that_is_none_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "huge.toml").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    (tmp_path / "folder.toml").mkdir()
    for name in ("pipe", "binary", "huge", "folder", "missing", "nul\0"):
        with pytest.raises(MapFileError, match=r"\.toml: "):
            load_map(f"{name}.toml", tmp_path)


def test_a_name_that_cannot_be_a_map_is_refused(tmp_path):
    with pytest.raises(MapFileError, match="small letters"):
        load_map(written(tmp_path, GOOD, "My Gauge.toml"))


def test_deep_nesting_is_refused_and_not_fatal(tmp_path):
    with pytest.raises(MapFileError, match="not TOML"):
        load_map(written(tmp_path, "a = " + "[" * 5000))


def test_no_map_is_left_out_of_the_folder():
    folder = Path(str(files("drivers"))) / "maps"
    assert sorted(path.stem for path in folder.iterdir()) == sorted(FUNCTIONS)
