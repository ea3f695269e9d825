"""Every row of the attack matrix: what is refused is refused with its rule and changes nothing; what is possible is."""

from collections.abc import Iterator

import pytest

from ota.errors import RefusedError
from ota.payload.fetch import Fetch
from ota.payload.limits import DailyBudget, SpeedLimit
from ota.payload.source import InterruptedFetchError
from ota.targets import decode_image_info
from ota.testing.attacks import ATTACKS, DEVICE, PAYLOAD_ATTACKS, TWO, Attack, Scene
from ota.testing.disk_double import DiskDouble


def test_without_an_attack_the_device_goes_on() -> None:
    assert Scene().look() == {"gateway": TWO, "lamp": TWO}


@pytest.mark.parametrize("attack", ATTACKS, ids=[f"{attack.holds}: {attack.tries}" for attack in ATTACKS])
def test_an_attack_ends_as_the_matrix_says(attack: Attack) -> None:
    scene = Scene()
    attack.act(scene)
    floors = scene.device.client().floors.record
    if attack.rule is None:
        assert set(scene.look().values()) == {attack.runs}
        return
    with pytest.raises(RefusedError) as refused:
        scene.look()
    assert refused.value.rule is attack.rule, str(refused.value)
    assert "\n" not in str(refused.value)
    after = scene.device.client().floors.record
    assert (after.plan_number, after.plan_sha256, after.releases) == (
        floors.plan_number, floors.plan_sha256, floors.releases
    )  # fmt: skip


def test_what_was_refused_does_no_harm_to_what_comes_after() -> None:
    """The mirror's tricks one after the other, and then the truth."""
    for attack in ATTACKS:
        if attack.rule is None or "no key" not in attack.holds:
            continue
        scene = Scene()
        truth, pieces = dict(scene.double.files), scene.pieces
        attack.act(scene)
        with pytest.raises(RefusedError):
            scene.look()
        scene.double.files.clear()
        scene.double.files.update(truth)
        scene.pieces = pieces
        scene.double.relist()
        scene.double.sign_plan(DEVICE)
        assert set(scene.look().values()) == {TWO}, attack.tries


class Mirror:
    """Serves what the attacker has put there."""

    name, is_metered = "mirror", False

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def read(self, path: str, offset: int, size: int) -> tuple[int, Iterator[bytes]]:
        return offset, (piece for piece in [self._files[path][offset : offset + size]])


def test_other_bytes_for_a_blob_are_refused_and_another_mirror_gives_the_right_ones() -> None:
    scene = Scene()
    right = dict(scene.double.files)
    blob = decode_image_info(scene.double.listed()[TWO].custom, TWO).full[1]
    (attack,) = PAYLOAD_ATTACKS
    attack.act(scene)
    scene.double.files[f"blobs/{blob.sha256}.blocks"] = right[f"blobs/{blob.sha256}.blocks"]
    disk = DiskDouble()
    budget = DailyBudget(disk, bytes_a_day=None, attempts_a_day=100, wall_s=lambda: 0.0, is_synchronised=lambda: True)
    speed = SpeedLimit(None, monotonic=lambda: 0.0, sleep=lambda _s: None)
    fetch = Fetch(disk, blob, budget=budget, speed=speed)
    fetch.resume()
    with pytest.raises(InterruptedFetchError, match="block 0 is not what the metadata names"):
        fetch.run([Mirror(scene.double.files)])
    assert not fetch.is_complete
    fetch.run([Mirror(scene.double.files), Mirror(right)])
    assert disk.read(fetch.part) == scene.double.images[TWO]
