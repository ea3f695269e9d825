#!/bin/sh
# Whether C extensions can be built for this Python; says what is missing. usage: compiler.sh PYTHON
set -eu
if ! command -v cc >/dev/null || ! command -v c++ >/dev/null; then
    echo "no C compiler: detools is not installed, tests that make deltas will skip (apt: g++)" >&2
    exit 1
fi
if ! "$1" -c 'import pathlib, sysconfig, sys; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())'; then
    echo "no Python headers: detools is not installed, tests that make deltas will skip (apt: python3-dev)" >&2
    exit 1
fi
