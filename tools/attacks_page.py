"""`docs/ota_attacks.md`: the attack matrix, drawn from the rows that the tests play (`ota.testing.attacks`).

`python -m tools.docs --write` writes it; a test holds it against the rows.
"""

from itertools import groupby
from pathlib import Path

from ota.testing.attacks import ATTACKS, PAYLOAD_ATTACKS

PAGE = Path(__file__).parents[1] / "docs" / "ota_attacks.md"

_HEAD = """\
<!-- Drawn from the tests' rows by `make docs`; edit those. -->

# What an attacker can do to updates, and what not

Who holds which key, what they try, and what comes of it. Each row is a test: a device that has confirmed a release is
offered what the attacker makes, over its real verification. "Refused" names the rule that stands in front of the text
on the device and in its audit trail.

How keys are kept, and what to do when one is stolen: [ota_signing.md](ota_signing.md).

| who holds | tries to | what comes of it | |
|---|---|---|---|
"""


def page() -> str:
    """The page as it should be."""
    lines = []
    for holds, attacks in groupby((*PAYLOAD_ATTACKS, *ATTACKS), key=lambda attack: attack.holds):
        name = holds
        for attack in attacks:
            outcome = f"refused: {attack.rule.value}" if attack.rule is not None else "**possible**"
            lines.append(f"| {name} | {attack.tries} | {outcome} | {attack.means} |\n")
            name = ""
    return _HEAD + "".join(lines)
