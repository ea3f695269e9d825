"""`python -m edge CONFIG`: the daemon. It loads no command-line framework; `wayside run` becomes this."""

import sys
from pathlib import Path


def main() -> int:
    """Run until SIGTERM; the exit code says why it stopped: 0 asked to, 1 failed, 2 wrong configuration or usage."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.stderr.write("usage: python -m edge CONFIG\n")
        return 2
    from edge.gateway.start import run_gateway

    return run_gateway(Path(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
