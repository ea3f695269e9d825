"""`python -m ota.agent FILE [--now]`: one run, as the gateway's supervisor or a timer starts it.

Exit codes: 0 nothing is under way, 10 start it again soon, 11 another slot is to be started, 1 refused, 2 wrong file.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

_USAGE = 2


def main() -> int:
    """Run once."""
    arguments = [each for each in sys.argv[1:] if each != "--now"]
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write("usage: python -m ota.agent FILE [--now]\n")
        return _USAGE
    from ota.agent.lean import leave_out

    leave_out()
    from ota.agent.account import confirmed_slot
    from ota.agent.agent import UpdateAgent
    from ota.agent.config import ConfigError, read_config
    from ota.errors import OtaError

    try:
        config = read_config(Path(arguments[0]))
        running = os.environ.get("WAYSIDE_SLOT") or confirmed_slot(config)
        if config.hawkbit is not None:
            from ota.hawkbit.run import run

            return run(config, running=running, is_forced="--now" in sys.argv, say=_say)
        return UpdateAgent(config, running=running, say=_say).run(is_forced="--now" in sys.argv)
    except ConfigError as error:
        _say(str(error))
        return _USAGE
    except OtaError as error:
        _say(str(error))
        return 1


def _say(line: str) -> None:
    with suppress(OSError):  # the gateway that listened has died: the next one reads what stands on the disk
        sys.stderr.write(f"update: {line}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
