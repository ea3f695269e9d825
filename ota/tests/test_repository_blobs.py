"""What `verify` says to blobs that are what signed metadata names, and still no device could use."""

import pytest
import zstandard

from ota.errors import RefusedError, Rule
from ota.repository.inspection import inspect
from ota.testing.repository_double import RepositoryDouble

IMAGE = "rsu/gateway/1.tar"
BODY = bytes(range(256)) * 64


def packed(data: bytes, **settings: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters(**settings)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(data)


WIDE = zstandard.ZstdCompressor(
    compression_params=zstandard.ZstdCompressionParameters(window_log=25, write_content_size=False)
).compressobj()


@pytest.mark.parametrize(
    ("blob", "rule"),
    [
        (b"no frame at all", Rule.FORMAT),
        (packed(BODY)[:-3], Rule.HASH),
        (packed(BODY) + b"more", Rule.FORMAT),
        (packed(BODY * 2), Rule.HASH),
        (WIDE.compress(BODY) + WIDE.flush(), Rule.FORMAT),
    ],
    ids=["rubbish", "cut short", "with a tail", "another image", "a wider window than a device has"],
)
def test_a_blob_that_makes_no_image_is_refused(blob: bytes, rule: Rule) -> None:
    double = RepositoryDouble()
    double.add_image(IMAGE, BODY, counter=1, full=[double._blob("zstd", blob)])
    double.set_plan("rsu-7", {"gateway": IMAGE})
    with pytest.raises(RefusedError) as refused:
        inspect(double.files.get, ["rsu-7"], double.now)
    assert refused.value.rule is rule
    assert IMAGE in str(refused.value) or "blobs/" in str(refused.value)


def test_a_right_one_is_none_the_worse() -> None:
    double = RepositoryDouble()
    double.add_image(IMAGE, BODY, counter=1, full=[double._blob("zstd", packed(BODY)), double._blob("none", BODY)])
    double.set_plan("rsu-7", {"gateway": IMAGE})
    assert inspect(double.files.get, ["rsu-7"], double.now).blobs == 2
