"""`docs/ota_signing.md` is followed to the letter, from its first command to its last."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tools.tests.ota_repositories import PASSPHRASE, done, hurry, repo, source

PAGE = (Path(__file__).parents[2] / "docs/ota_signing.md").read_text("utf-8")
LINES = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
ASKS = ("key", "sign", "publish", "plan", "bundle")
"""What asks for a passphrase."""


def test_the_whole_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hurry(monkeypatch)
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    source(tmp_path / "build/gateway", "1.4.2")
    for line in LINES:
        words = shlex.split(line)
        assert words[:3] == ["wayside", "ota", "repo"], line
        if "KEYID" in words:
            words[words.index("KEYID")] = json.loads(Path("bob/bob-targets.pub").read_bytes())["keyid"][:12]
        words = [found for word in words[3:] for found in (_matching(word) if "*" in word else [word])]
        if words[0] in ASKS:
            words += ["--passphrase-file", str(secret)]
        result = repo(*words)
        assert result.exit_code == 0, f"{line}: {result.output}"
    assert done("verify", "updates")["plans"] == ["rsu-7f3a"]
    assert (tmp_path / "stick/index.json").exists()


def _matching(pattern: str) -> list[str]:
    """As a shell does it."""
    return sorted(str(path) for path in Path().glob(pattern))
