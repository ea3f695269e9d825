"""Keeps out of the agent's process what python-tuf would load and no device uses.

Its client brings a fetcher on urllib3; ours is `ota.trust.fetcher`. Its signatures load whatever signs with a token or
in a cloud, if that is installed; a device only verifies. Together that is a sixth of what the agent holds.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

SIGNERS = frozenset({"azure", "boto3", "google", "hvac", "keylet", "pkcs11"})
"""What securesystemslib signs with, where it finds it; it takes each as not installed."""
FETCHER = "tuf.ngclient.urllib3_fetcher"


class Urllib3Fetcher:
    """In the place of python-tuf's own, which it makes only for a client that has none."""


class _NotInstalled(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib`."""
        del path, target
        if fullname.partition(".")[0] in SIGNERS:
            raise ModuleNotFoundError(f"the update agent does without {fullname}", name=fullname)
        return None


def leave_out() -> None:
    """For this whole process; before anything of python-tuf is imported."""
    assert "tuf" not in sys.modules, "it is too late"
    sys.meta_path.insert(0, _NotInstalled())
    fetcher = ModuleType(FETCHER)
    vars(fetcher)[Urllib3Fetcher.__name__] = Urllib3Fetcher
    sys.modules[FETCHER] = fetcher
