"""The attack matrix: who holds which key, what they try, what comes of it. Each row is a test and a line of the page.

A scene begins with a device that runs image 1 by plan 1, both confirmed with its floor; image 2 is published, plan 2
orders it, and yesterday's files are kept. An attack changes what is served; then the device looks.
"""

import copy
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from tuf.api.metadata import Targets

from ota.errors import Rule
from ota.repository.keys import KeyRole, SigningKey
from ota.repository.layout import BLOBS, DIRECTOR, METADATA, TIMESTAMP
from ota.repository.roles import target_file
from ota.targets import PLAN_KEY, ImageInfo, Target, decode_image_info
from ota.testing.repository_double import RepositoryDouble
from ota.testing.trusting_device import GATEWAY, TrustingDevice, file_pieces
from ota.trust.agreement import MAX_PLAN_STEP
from ota.trust.fetcher import Pieces

OLD, ONE, TWO = "rsu/gateway/0.tar", "rsu/gateway/1.tar", "rsu/gateway/2.tar"
OTHER, FOREIGN = "rsu/gateway/x86.tar", "buoy/mcu/1.set"
DEVICE, NEIGHBOUR = "rsu-7", "rsu-8"
FAST = 1 << 40


class Scene:
    """A device, its repositories, and yesterday."""

    def __init__(self) -> None:
        self.double = RepositoryDouble()
        for counter, path in enumerate((OLD, ONE)):
            self.double.add_image(path, path.encode(), counter=counter, min_counter=counter)
        self.double.add_image(OTHER, b"x86", counter=5, hardware=["rsu-x86"])
        self.double.add_image(FOREIGN, b"set", counter=5, kind="mcu", hardware=["rsu-arm64"])
        for name in (DEVICE, NEIGHBOUR):
            self.double.set_plan(name, {"gateway": ONE, "lamp": ONE})
        self.device = TrustingDevice(self.double, ecus={"gateway": GATEWAY, "lamp": GATEWAY})
        self.device.refresh()
        client = self.device.client()
        client.floors.confirm("rsu-arm64", decode_image_info(self.double.listed()[ONE].custom, ONE))
        self.yesterday = dict(self.double.files)
        self.double.now += timedelta(hours=12)
        self.double.add_image(TWO, TWO.encode(), counter=2)
        self.double.set_plan(DEVICE, {"gateway": TWO, "lamp": TWO})
        for _day in range(3):
            self.double.sign_plan(NEIGHBOUR)  # whose versions are higher then
        self.pieces: Pieces = file_pieces(self.double.files)

    @property
    def keys(self) -> dict[str, list[SigningKey]]:
        """By role: the attacker takes some."""
        return self.double.keys

    def look(self) -> dict[str, str]:
        """What the device would run now, by ECU. Raises what it refuses with."""
        return {ecu: target.path for ecu, target in self.device.refresh(pieces=self.pieces).targets.items()}

    def order(self, change: Callable[[Targets], object]) -> None:
        """The Director's key says something else to the device."""
        self.double.forge_plan(DEVICE, change, by=self.keys["director"])

    def order_image(self, path: str, file: Any = None) -> Callable[[Targets], None]:
        """An order of one image for both ECUs, listed as the image repository has it or otherwise."""

        def change(targets: Targets) -> None:
            targets.targets = {path: file or copy.deepcopy(self.double.listed()[path])}
            for ecu in targets.unrecognized_fields[PLAN_KEY]["ecus"].values():
                ecu["target"] = path

        return change

    def evil(self, path: str = "rsu/gateway/9.tar") -> Target:
        """An image of the attacker's own making."""
        info: ImageInfo = decode_image_info(self.double.listed()[TWO].custom, TWO)
        return Target(path=path, length=4, sha256="e" * 64, info=info)

    def list_evil(self, path: str = "rsu/gateway/9.tar") -> Callable[[Targets], None]:
        """A listing with that image in it."""

        def change(family: Targets) -> None:
            family.targets[path] = target_file(self.evil(path))

        return change

    def newest(self, role: str, folder: str = METADATA) -> str:
        """The file of a role's newest version."""
        names = [name for name in self.double.files if name.startswith(f"{folder}/") and name.endswith(f".{role}.json")]
        return max(names, key=lambda name: int(name.rpartition("/")[2].partition(".")[0]))


class Attack(NamedTuple):
    """A row."""

    holds: str
    tries: str
    act: Callable[[Scene], object]
    rule: Rule | None
    """What the device refuses with; None: it is possible, and `means` says what it means."""
    means: str
    runs: str = ""
    """Where it is possible: what the device would run then."""


def _swap_hash(scene: Scene) -> None:
    name = scene.newest("rsu")
    data = scene.double.files[name]
    scene.double.files[name] = data.replace(scene.double.listed()[TWO].hashes["sha256"].encode(), b"e" * 64)


def _wait(scene: Scene) -> None:
    scene.device.refresh()
    scene.double.now += timedelta(days=2)


def _replay(scene: Scene) -> None:
    scene.device.refresh()
    scene.double.files.update(scene.yesterday)


def _mix(scene: Scene) -> None:
    scene.double.files[scene.newest("snapshot")] = scene.yesterday["metadata/1.snapshot.json"]


def _endless(scene: Scene) -> None:
    known = scene.pieces

    def pieces(url: str) -> Iterator[bytes]:
        return iter(lambda: b"\0" * 4096, b"") if url.endswith(TIMESTAMP) else known(url)

    scene.pieces = pieces


def _neighbours_plan(scene: Scene) -> None:
    for name, data in list(scene.double.files.items()):
        if name.startswith(f"{DIRECTOR}/{NEIGHBOUR}/"):
            scene.double.files[name.replace(NEIGHBOUR, DEVICE)] = data


def _withhold(scene: Scene) -> None:
    scene.double.files.clear()


def _forge_with_online(scene: Scene, by: list[SigningKey]) -> None:
    scene.double.forge("rsu", scene.list_evil(), by=by)
    scene.double.relist()
    scene.order(scene.order_image("rsu/gateway/9.tar", target_file(scene.evil())))


def _old_listing(scene: Scene) -> None:
    scene.device.refresh()
    number = scene.double.families["rsu"].signed.version - 1
    scene.double._listed["rsu"] = (number, scene.double.files[f"{METADATA}/{number}.rsu.json"])  # noqa: SLF001  # as it was
    scene.double.relist()


def _freeze(scene: Scene) -> None:
    _wait(scene)
    scene.double.relist()
    scene.double.sign_plan(DEVICE)


def _fast_forward(scene: Scene) -> None:
    scene.double._snapshot_version = FAST  # noqa: SLF001  # the attacker's own number
    scene.double.relist()
    scene.device.refresh()
    stolen = scene.keys["online"].pop()
    scene.keys["online"].append(SigningKey.new(KeyRole.ONLINE, "online-2"))
    new = scene.keys["online"][0].public.tuf

    def change(root: Any) -> None:
        for role in ("snapshot", "timestamp"):
            root.revoke_key(stolen.public.keyid, role)
            root.add_key(new, role)

    scene.double.new_root(change, by=scene.keys["root"][:2])
    scene.double._snapshot_version = 20  # noqa: SLF001  # honest people go on where they were
    scene.double.relist()


def _new_root(count: int) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        own = [SigningKey.new(KeyRole.TARGETS, f"mallory-{number}") for number in (1, 2)]

        def change(root: Any) -> None:
            root.roles["targets"].keyids = []
            for key in own:
                root.add_key(key.public.tuf, "targets")

        scene.double.new_root(change, by=scene.keys["root"][:count])
        scene.double.forge("targets", lambda targets: _let_sign(targets, own), by=own)
        scene.double.forge("rsu", scene.list_evil(), by=own)
        scene.double.relist()
        scene.order(scene.order_image("rsu/gateway/9.tar", target_file(scene.evil())))

    return act


def _directors_root_for_images(scene: Scene) -> None:
    """The same people sign both roots; the Director's lets one online key say what there is."""
    scene.double.new_root(lambda _root: None, by=scene.keys["root"][:2], side=DIRECTOR)  # an honest renewal
    scene.double.files[f"{METADATA}/2.root.json"] = scene.double.files[f"{DIRECTOR}/2.root.json"]


def _images_root_for_director(scene: Scene) -> None:
    scene.double.new_root(lambda _root: None, by=scene.keys["root"][:2])
    scene.double.files[f"{DIRECTOR}/{DEVICE}/2.root.json"] = scene.double.files[f"{METADATA}/2.root.json"]


def _own_image_by_directors_root(scene: Scene) -> None:
    _directors_root_for_images(scene)
    own = [SigningKey.new(KeyRole.TARGETS, f"mallory-{number}") for number in (1, 2)]
    stolen = scene.keys["director"]
    scene.double.forge("targets", lambda targets: _let_sign(targets, own), by=stolen)
    scene.double.forge("rsu", scene.list_evil(), by=own)
    scene.double.relist(by=stolen)
    scene.order(scene.order_image("rsu/gateway/9.tar", target_file(scene.evil())))


def _let_sign(targets: Targets, own: list[SigningKey]) -> None:
    delegations = targets.delegations
    assert delegations is not None
    assert delegations.roles is not None
    delegations.keys.update({key.public.keyid: key.public.tuf for key in own})
    delegations.roles["rsu"].keyids = [key.public.keyid for key in own]


def _foreign_path(scene: Scene) -> None:
    scene.double.forge("rsu", scene.list_evil("buoy/mcu/9.set"), by=scene.keys["rsu"][:2])
    scene.double.relist()
    scene.order(scene.order_image("buoy/mcu/9.set", target_file(scene.evil("buoy/mcu/9.set"))))


def _set_plan(**fields: Any) -> Callable[[Scene], None]:
    return lambda scene: scene.order(lambda targets: targets.unrecognized_fields[PLAN_KEY].update(fields))


def _older_number(scene: Scene) -> None:
    scene.device.refresh()
    _set_plan(number=1)(scene)


def _fast_forward_director(scene: Scene) -> None:
    number = 1 + MAX_PLAN_STEP
    change = lambda targets: targets.unrecognized_fields[PLAN_KEY].update(number=number)  # noqa: E731  # short
    scene.double.forge_plan(DEVICE, change, by=scene.keys["director"], version=FAST)
    scene.device.refresh()
    stolen = scene.keys["director"].pop()
    scene.keys["director"].append(SigningKey.new(KeyRole.DIRECTOR, "director-2"))

    def hand_over(root: Any) -> None:
        for role in ("targets", "snapshot", "timestamp"):
            root.revoke_key(stolen.public.keyid, role)
            root.add_key(scene.keys["director"][0].public.tuf, role)

    scene.double.new_root(hand_over, by=scene.keys["root"][:2], side=DIRECTOR)
    scene.double.forge_plan(
        DEVICE,
        lambda targets: targets.unrecognized_fields[PLAN_KEY].update(number=number + 1),
        by=scene.keys["director"],
        version=20,
    )


def _same_number(scene: Scene) -> None:
    scene.device.refresh()
    scene.order(scene.order_image(ONE))


def _old_plan_for_ever(scene: Scene) -> None:
    def change(targets: Targets) -> None:
        scene.order_image(ONE)(targets)
        targets.unrecognized_fields[PLAN_KEY]["number"] = 1

    scene.double.now += timedelta(days=30)
    scene.double.relist()
    scene.order(change)


def _older_image(scene: Scene) -> None:
    def change(targets: Targets) -> None:
        scene.order_image(ONE)(targets)
        targets.unrecognized_fields[PLAN_KEY]["number"] = 3

    scene.order(change)


def _change_custom(scene: Scene) -> None:
    scene.order(lambda targets: targets.targets[TWO].custom.update(min_counter=0, counter=9))


def _other_blobs(scene: Scene) -> None:
    for name in [name for name in scene.double.files if name.startswith(f"{BLOBS}/")]:
        scene.double.files[name] = b"\0" * len(scene.double.files[name])


NOBODY, STICK, ONLINE, DIRECTOR_KEY = (
    "no key: a mirror, the network",
    "no key: a stick",
    "the online key",
    "the Director's key",
)
BOTH = "the online key and the Director's"
NO_CHANGE = "the device keeps what it runs"

PAYLOAD_ATTACKS = (
    Attack(NOBODY, "serve other bytes for a blob", _other_blobs, Rule.HASH,
           "each block is judged as it comes; another mirror gives the right ones"),
)  # fmt: skip
"""What metadata does not meet, and the fetching of blobs does."""

ATTACKS = (
    Attack(NOBODY, "list another image under the name", _swap_hash, Rule.HASH, NO_CHANGE),
    Attack(NOBODY, "serve all of yesterday again (replay)", _replay, Rule.VERSION, NO_CHANGE),
    Attack(NOBODY, "serve the same for ever (freeze)", _wait, Rule.EXPIRY, "told after a day at most; " + NO_CHANGE),
    Attack(NOBODY, "serve an old listing with new ones (mix and match)", _mix, Rule.HASH, NO_CHANGE),
    Attack(NOBODY, "never end a file (endless data)", _endless, Rule.LENGTH, "cut at its ceiling; " + NO_CHANGE),
    Attack(NOBODY, "serve the plan of another device", _neighbours_plan, Rule.PLAN, NO_CHANGE),
    Attack(NOBODY, "serve the Director's root as the image repository's", _directors_root_for_images, Rule.ROLE,
           "it is not kept; " + NO_CHANGE),
    Attack(NOBODY, "serve the image repository's root as the Director's", _images_root_for_director, Rule.ROLE,
           "it is not kept; " + NO_CHANGE),
    Attack(NOBODY, "serve nothing", _withhold, Rule.NETWORK, "no news while it lasts, and the device says so"),
    Attack(ONLINE, "list an image of their own", lambda s: _forge_with_online(s, []), Rule.THRESHOLD, NO_CHANGE),
    Attack(ONLINE, "list an older listing as the newest", _old_listing, Rule.VERSION, NO_CHANGE),
    Attack(ONLINE, "sign a plan", lambda s: s.double.forge_plan(DEVICE, s.order_image(ONE), by=s.keys["online"]),
           Rule.THRESHOLD, NO_CHANGE),
    Attack(ONLINE, "say for ever that nothing is new", _freeze, None,
           "no new image is listed until the root holders take the key away", TWO),
    Attack(ONLINE, "use up the version numbers (fast forward)", _fast_forward, None,
           "healed by the new root that takes the key away", TWO),
    Attack(DIRECTOR_KEY, "order an image of their own",
           lambda s: s.order(s.order_image("rsu/gateway/9.tar", target_file(s.evil()))), Rule.AGREEMENT, NO_CHANGE),
    Attack(DIRECTOR_KEY, "list an image of their own under the Director's root", _own_image_by_directors_root,
           Rule.ROLE, NO_CHANGE),
    Attack(DIRECTOR_KEY, "order an image below the floor", lambda s: s.order(s.order_image(OLD)), Rule.FLOOR,
           NO_CHANGE),
    Attack(DIRECTOR_KEY, "order an image for other hardware", lambda s: s.order(s.order_image(OTHER)), Rule.HARDWARE,
           NO_CHANGE),
    Attack(DIRECTOR_KEY, "order an image of another family", lambda s: s.order(s.order_image(FOREIGN)), Rule.HARDWARE,
           NO_CHANGE),
    Attack(DIRECTOR_KEY, "say other properties of an image", _change_custom, Rule.AGREEMENT, NO_CHANGE),
    Attack(DIRECTOR_KEY, "order nothing", _set_plan(ecus={}), Rule.FORMAT, NO_CHANGE),
    Attack(DIRECTOR_KEY, "leave an ECU out", _set_plan(ecus={"gateway": {"target": TWO}}), Rule.ECU, NO_CHANGE),
    Attack(DIRECTOR_KEY, "name an ECU that is not there",
           _set_plan(ecus={name: {"target": TWO} for name in ("gateway", "lamp", "door")}), Rule.ECU, NO_CHANGE),
    Attack(DIRECTOR_KEY, "say plan 1 once more", _older_number, Rule.PLAN, NO_CHANGE),
    Attack(DIRECTOR_KEY, "change a plan and keep its number",
           _same_number, Rule.PLAN, NO_CHANGE),
    Attack(DIRECTOR_KEY, "use up the plan numbers", _set_plan(number=1 << 53), Rule.PLAN, NO_CHANGE),
    Attack(DIRECTOR_KEY, "use up the version numbers, and plan numbers as far as it gets (fast forward)",
           _fast_forward_director, None,
           "healed by the new root that takes the key away, and a plan with a higher number", TWO),
    Attack(DIRECTOR_KEY, "say for ever that nothing is new", _old_plan_for_ever, None,
           "no update reaches the device until the root holders take the key away", ONE),
    Attack(DIRECTOR_KEY, "order an older image, not below the floor",
           _older_image, None, "the Director's right; the floor is what bounds it", ONE),
    Attack(BOTH, "bring an image of their own", lambda s: _forge_with_online(s, []), Rule.THRESHOLD, NO_CHANGE),
    Attack("one key of a family, " + BOTH, "bring an image of their own",
           lambda s: _forge_with_online(s, s.keys["rsu"][:1]), Rule.THRESHOLD, NO_CHANGE),
    Attack("two keys of a family, " + BOTH, "bring an image for another family", _foreign_path, Rule.AGREEMENT,
           NO_CHANGE),
    Attack("two keys of a family, " + BOTH, "bring an image of their own",
           lambda s: _forge_with_online(s, s.keys["rsu"][:2]), None,
           "for this family alone: two signatures are the bound", "rsu/gateway/9.tar"),
    Attack("one key of root, " + BOTH, "sign a new root", _new_root(1), Rule.THRESHOLD, NO_CHANGE),
    Attack("two keys of root, " + BOTH, "sign a new root", _new_root(2), None,
           "they are the repository; devices need a new root by hand", "rsu/gateway/9.tar"),
    Attack(STICK, "bring last month's stick", _replay, Rule.VERSION, NO_CHANGE),
    Attack(STICK, "bring the stick of another device", _neighbours_plan, Rule.PLAN, NO_CHANGE),
    Attack(STICK, "change the listing on it", _swap_hash, Rule.HASH, NO_CHANGE),
)  # fmt: skip
