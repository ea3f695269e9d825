"""The pages that are drawn from code: `python -m tools.docs --write` makes them anew, `--check` says which are stale.

AsyncAPI and message schemas (`tools.asyncapi`), the JSON Schema of a node's configuration, the page of its keys, and
the attack matrix of updates.
"""

import json
import sys
from pathlib import Path

from edge.gateway.config_schema import config_schema
from tools import asyncapi, attacks_page, configuration_page

CONFIG_SCHEMA = Path(__file__).parent.parent / "docs" / "configuration.schema.json"


def rendered_schema() -> str:
    """The schema of a configuration file as it stands in the docs."""
    return json.dumps(config_schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def stale() -> list[str]:
    """Pages that the code has left behind."""
    pages = list(asyncapi.differences())
    if not CONFIG_SCHEMA.exists() or CONFIG_SCHEMA.read_text("utf-8") != rendered_schema():
        pages.append(str(CONFIG_SCHEMA.relative_to(CONFIG_SCHEMA.parent.parent)))
    if not configuration_page.PAGE.exists() or configuration_page.PAGE.read_text("utf-8") != configuration_page.page():
        pages.append("docs/configuration.md")
    if not attacks_page.PAGE.exists() or attacks_page.PAGE.read_text("utf-8") != attacks_page.page():
        pages.append("docs/ota_attacks.md")
    return pages


def main() -> int:
    """Write or check; exit 1 when something is stale."""
    if sys.argv[1:] == ["--write"]:
        asyncapi.write()
        CONFIG_SCHEMA.write_text(rendered_schema(), "utf-8")
        configuration_page.PAGE.write_text(configuration_page.page(), "utf-8")
        attacks_page.PAGE.write_text(attacks_page.page(), "utf-8")
        return 0
    if sys.argv[1:] != ["--check"]:
        print("usage: python -m tools.docs --write | --check", file=sys.stderr)
        return 2
    pages = stale()
    for page in pages:
        print(f"{page}: is stale; run: make docs", file=sys.stderr)
    return 1 if pages else 0


if __name__ == "__main__":
    sys.exit(main())
