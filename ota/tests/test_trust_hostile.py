"""Whatever bytes a mirror, a stick or a rotten disk gives for metadata: refused in one line, or without effect."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ota.errors import RefusedError
from ota.repository.layout import DIRECTOR, METADATA
from ota.storage import replace
from ota.testing.disk_double import DiskDouble
from ota.testing.repository_double import RepositoryDouble
from ota.testing.trusting_device import TrustingDevice, file_pieces
from ota.trust.client import VerifiedPlan

V1, V2 = "rsu/gateway/1.tar", "rsu/gateway/2.tar"
NAMES = [
    *(f"{DIRECTOR}/rsu-7/{name}.json" for name in ("2.root", "timestamp", "1.snapshot", "1.targets")),
    *(f"{METADATA}/{name}.json" for name in ("2.root", "timestamp", "3.snapshot", "1.targets", "3.rsu")),
]
_double = RepositoryDouble()
_double.add_image(V1, b"one", counter=1)
_double.add_image(V2, b"two", counter=2)
_double.set_plan("rsu-7", {"gateway": V2})
_honest = TrustingDevice(_double).refresh()


@st.composite
def spoiled(draw: st.DrawFn, data: bytes) -> bytes:
    """A file with a few of its bytes changed, removed, doubled, or other bytes altogether."""
    at = draw(st.integers(0, max(0, len(data) - 1)))
    end = min(len(data), at + draw(st.integers(1, 40)))
    flipped = bytes([(data[at] if data else 0) ^ draw(st.integers(1, 255))])
    number = draw(st.sampled_from([b"-", b"9" * 400, b"1e999", b"NaN,"]))
    return draw(
        st.sampled_from(
            [
                data[:at] + flipped + data[at + 1 :],
                data[:at],
                data[:at] + data[end:],
                data[:end] + data[at:],
                data.replace(b'"version":', b'"version":' + number),
                b"[" * 20_000,
                b'{"a":' * 20_000,
                draw(st.binary(max_size=200)),
            ]
        )
    )


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_no_bytes_for_a_file_do_more_than_be_refused(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    files = {**_double.files, name: data.draw(spoiled(_double.files.get(name, b"")))}
    device = TrustingDevice(_double)
    outcome: VerifiedPlan | str
    try:
        outcome = device.refresh(pieces=file_pieces(files))
    except RefusedError as error:
        outcome = str(error)
    if isinstance(outcome, str):
        assert outcome.isprintable()
        assert len(outcome) < 600
    else:
        assert outcome == _honest
    assert device.refresh() == _honest


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_no_bytes_in_the_cache_do_more_than_be_replaced(data: st.DataObject) -> None:
    device = TrustingDevice(_double)
    device.refresh()
    assert isinstance(device.disk, DiskDouble)
    names = sorted(name for name in device.disk.contents() if name.endswith(".json"))
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True)):
        replace(device.disk, name, data.draw(spoiled(device.disk.contents()[name])))
    verified = device.refresh()
    assert verified.plan == _honest.plan
    assert verified.targets == _honest.targets


def test_the_files_named_here_are_those_that_a_device_reads() -> None:
    asked: list[str] = []
    read = file_pieces(_double.files)

    def pieces(url: str):
        asked.append(url)
        return read(url)

    TrustingDevice(_double).refresh(pieces=pieces)
    assert asked == NAMES


def test_a_mix_of_old_and_new_files_is_refused() -> None:
    """A mirror gives the newest plan and, of the images, what it likes of each day."""
    double = RepositoryDouble()
    double.add_image(V1, b"one", counter=1)
    double.set_plan("rsu-7", {"gateway": V1})
    old = dict(double.files)
    double.add_image(V2, b"two", counter=2)
    double.set_plan("rsu-7", {"gateway": V2})
    new = dict(double.files)
    images = {name for name in new if name.startswith(f"{METADATA}/")}
    stale = {**new, **{name: old[name] for name in images & set(old)}}
    with pytest.raises(RefusedError, match="image repository does not list it"):
        TrustingDevice(double).refresh(pieces=file_pieces(stale))
    seen = TrustingDevice(double)
    seen.refresh()
    with pytest.raises(RefusedError, match="timestamp"):
        seen.refresh(pieces=file_pieces(stale))
    swapped = {**new, f"{METADATA}/3.snapshot.json": new[f"{METADATA}/2.snapshot.json"]}
    with pytest.raises(RefusedError, match=r"^hash: image repository: 3.snapshot.json"):
        TrustingDevice(double).refresh(pieces=file_pieces(swapped))
    swapped = {**new, f"{METADATA}/3.rsu.json": new[f"{METADATA}/2.rsu.json"]}
    with pytest.raises(RefusedError, match=r"^hash: image repository: 3.rsu.json"):
        TrustingDevice(double).refresh(pieces=file_pieces(swapped))
