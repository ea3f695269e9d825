"""Where everything lies: the folder of the maintainers, and what a web server serves of it.

public/                          what is served; any web server or CDN does
metadata/1.root.json 4.rsu.json … timestamp.json      the image repository
director/1.root.json …                                the Director's root; once more in each device's folder:
director/{device}/1.root.json 7.targets.json 7.snapshot.json timestamp.json
blobs/{sha256}  blobs/{sha256}.blocks                 what devices fetch
bom/{sha256 of the image}.cdx.json                    what an image is made of
staged/image/  staged/director/  what waits for signatures, and the signatures
staged/blobs/  staged/bom/       what comes with it
audit.jsonl      what was done here and what was refused (`ota.repository.trail`)
"""

PUBLIC = "public"
STAGED = "staged"
METADATA = "metadata"
DIRECTOR = "director"
BLOBS = "blobs"
BOM = "bom"
TIMESTAMP = "timestamp.json"
STAGED_IMAGE = f"{STAGED}/image"
STAGED_DIRECTOR = f"{STAGED}/director"


def block_list_name(sha256: str) -> str:
    """Of a blob, in the folder of blobs."""
    return f"{sha256}.blocks"
