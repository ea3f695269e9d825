"""Coverage-guided bytes for every decoder and framer, by atheris: `make fuzz`.

    python -m protocols.tests.guided_fuzz [--seconds 60] [TARGET ...]

Each target runs in a process of its own, with the code of `protocols` instrumented and the vectors as its first inputs.
What it finds is written to `build/fuzz/`, and its bytes are printed: they enter the tests as a vector before the defect
is mended. Exit code 1 when anything was found.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FOUND = Path("build/fuzz")
TIMEOUT_S = 5
MAX_BYTES = 4096


def case_from(cases: list[dict[str, Any]], data: bytes) -> dict[str, Any]:
    """A vector of two bytes' choice, its options as they are, its frame replaced by the other bytes."""
    from protocols.tests.kit import input_of  # after atheris has hooked imports

    at = int.from_bytes(data[:2], "big") % len(cases)
    body = data[2:]
    case = input_of(cases[at])
    if isinstance(case.get("hex"), list):
        case["hex"] = [*case["hex"][:-1], body.hex()]
    elif "hex" in case:
        case["hex"] = body.hex()
    elif isinstance(case.get("text"), list):
        case["text"] = body.decode("latin-1").splitlines() or [""]
    elif "text" in case:
        case["text"] = body.decode("latin-1")
    else:
        frames = list(case["frames"])
        frames[-1] = {**frames[-1], "hex": body.hex()} if isinstance(frames[-1], dict) else body.hex()
        case["frames"] = frames
    return case


def bytes_of(case: Mapping[str, Any], at: int) -> bytes:
    """The inverse, for the first inputs."""
    frame = case.get("hex", case.get("text", case.get("frames")))
    last = frame[-1] if isinstance(frame, list) else frame
    text = last["hex"] if isinstance(last, dict) else str(last)
    try:
        body = text.encode("latin-1") if "text" in case else bytes.fromhex(text)
    except ValueError:
        body = text.encode("latin-1", "replace")
    return at.to_bytes(2, "big") + body


def targets() -> list[str]:
    """Every decoder, payload and framer."""
    from protocols.tests.fuzz_framers import FRAMERS
    from protocols.tests.test_fuzz import PAYLOADS, PROTOCOLS

    return (
        [f"decode/{name}" for name in PROTOCOLS]
        + [f"payload/{name}" for name in PAYLOADS]
        + [f"framer/{name}" for name in FRAMERS]
    )


def run_one(target: str, seconds: int) -> None:
    """In a process of its own: atheris ends it."""
    import atheris

    with atheris.instrument_imports(include=["protocols"]):
        from protocols.core.errors import RemoteProtocolError
        from protocols.tests import fuzz_framers, test_fuzz
    from protocols.tests.kit import cases_of

    kind, _slash, name = target.partition("/")
    seeds: list[bytes] = []
    run: Callable[[bytes], object]
    if kind == "decode":
        cases = cases_of(name)
        seeds = [bytes_of(case, at) for at, case in enumerate(cases)]

        def run(data: bytes) -> object:
            return test_fuzz.PROTOCOLS[name](case_from(cases, data))
    elif kind == "payload":
        run = test_fuzz.PAYLOADS[name]
        seeds = list(test_fuzz.STARTS)
    else:
        seeds = test_fuzz.frames_like(name.partition("_")[0] if name.startswith("modbus") else name)

        def run(data: bytes) -> object:
            return fuzz_framers.feed_framer(fuzz_framers.FRAMERS[name](), data)

    def one_input(data: bytes) -> None:
        try:
            run(data)
        except RemoteProtocolError:
            return

    folder = FOUND / target.replace("/", "-")
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", f"-timeout={TIMEOUT_S}", f"-max_len={MAX_BYTES}", "-rss_limit_mb=1024"]
    atheris.Setup(
        [sys.argv[0], *options, "-seed=1", "-verbosity=0", f"-artifact_prefix={folder}/", str(corpus)], one_input
    )
    atheris.Fuzz()


def main() -> int:
    """Run the targets one after the other; say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments.one, arguments.seconds)
        return 0
    known = targets()
    unknown = [name for name in arguments.targets if name not in known]
    if unknown:
        parser.error(f"there is no target {unknown[0]}; there are: {', '.join(known)}")
    found = []
    for name in arguments.targets or known:
        print(f"{name} ...", flush=True)  # noqa: T201  # a chore for people
        command = [
            sys.executable,
            "-m",
            "protocols.tests.guided_fuzz",
            "--one",
            name,
            "--seconds",
            str(arguments.seconds),
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            found.append(name)
            print(done.stdout[-2_000:] + done.stderr[-6_000:], flush=True)  # noqa: T201
    print(json.dumps({"targets": len(arguments.targets or known), "found": found}))  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
