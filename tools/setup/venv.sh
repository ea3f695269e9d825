#!/bin/sh
# Makes the virtual environment. Where the distribution splits venv off, installs it when that is allowed.
# usage: venv.sh PYTHON VENV
set -eu
python=$1
venv=$2

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "wayside needs Python 3.11 or newer; $("$python" --version 2>&1) is too old. Try: make PYTHON=python3.12 ..." >&2
    exit 1
}
[ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 && exit 0

if ! "$python" -c 'import ensurepip' >/dev/null 2>&1; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    line="apt-get install -y python${version}-venv python3-venv"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing python3-venv ..." >&2
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive $line >/dev/null
    elif sudo -n true 2>/dev/null && command -v apt-get >/dev/null; then
        echo "installing python3-venv ..." >&2
        sudo -n apt-get update -qq && sudo -n env DEBIAN_FRONTEND=noninteractive $line >/dev/null
    else
        echo "Python's venv module is missing. Install it once with:" >&2
        echo "    sudo apt-get install -y python3-venv" >&2
        exit 1
    fi
fi
echo "creating $venv ..." >&2
"$python" -m venv "$venv"
