#!/bin/sh
# Pins every dependency anew, with the hashes of all its files, for each of the five environments.
# usage: lock.sh VENV
set -eu
venv=$1
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
pin() {
    out=$1
    shift
    "$venv/bin/uv" pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-header --no-annotate --quiet --output-file "$out" "$@"
}
mkdir -p locks
pin locks/device.txt --extra ota
pin locks/demo.txt --extra ota --extra tools --extra demo --group build
pin locks/test.txt --extra ota --extra tools --extra demo --extra fleet --group build --group test
pin locks/release.txt --extra ota --extra tools --extra demo --extra fleet --extra release --extra pkcs11 --group build --group test
pin locks/fuzz.txt --extra ota --extra tools --extra demo --extra fleet --group build --group test --group fuzz
