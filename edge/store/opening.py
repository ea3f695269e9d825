"""Opening the store of one gateway: its folder, the lock, what lies there, and the count of starts."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import fastcrc

from edge.store.folder import Ballast, count_boot, take_lock
from edge.store.intents import Intents
from edge.store.lane import Lane, LaneName
from edge.store.losses import EncodeLoss
from edge.store.medium import Medium
from edge.store.storage import PosixStorage
from edge.store.store import LANES, Quotas, Store


def open_store(
    folder: Path,
    *,
    quotas: Quotas,
    encode_loss: EncodeLoss,
    monotonic: Callable[[], float],
    uplinks: tuple[str, ...] = ("mqtt",),
) -> Store:
    """Open the store in `folder`, made when it is not there, and count this start.

    Raises `StoreLockedError` when another gateway holds it, `StorageError` when the disk refuses.
    """
    root = PosixStorage(folder)
    root.open()
    lock = take_lock(folder)
    media = {name: PosixStorage(folder / name) for name in (*LANES, "intent")}
    try:
        for medium in media.values():
            medium.open()
        boot = count_boot(root, Ballast(media["event"]))
        lanes: dict[LaneName, tuple[Lane, Medium]] = {}
        for name in LANES:
            lane = Lane(
                name,
                media[name],
                checksum=fastcrc.crc32.iscsi,
                new_epoch=_new_epoch,
                segment_bytes=quotas.segment_bytes(),
                uplinks=uplinks,
            )
            lane.open()
            lanes[name] = lane, media[name]
        intents = Intents(media["intent"], checksum=fastcrc.crc32.iscsi, new_epoch=_new_epoch)
        intents.open()
        return Store(
            lanes,
            intents=intents,
            quotas=quotas,
            boot=boot,
            encode_loss=encode_loss,
            monotonic=monotonic,
            lock=lock,
        )
    except BaseException:
        for medium in media.values():
            medium.close()
        os.close(lock)
        raise
    finally:
        root.close()


def _new_epoch() -> str:
    return secrets.token_hex(8)
