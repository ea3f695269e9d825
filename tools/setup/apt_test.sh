#!/bin/sh
# Installs what the tests drive for real and Python packages cannot bring: the Mosquitto broker, libnfc's tools,
# a software token for signing keys, RAUC with what makes its bundles, a browser, and the C compiler that detools is built with.
# Without the right to install, the tests that need them are skipped and say so.
set -eu
have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

want=
have mosquitto || want="$want mosquitto"
have nfc-list || want="$want libnfc-bin"
have softhsm2-util || want="$want softhsm2"
have rauc || want="$want rauc"
have chromium || want="$want chromium"
have dbus-daemon || want="$want dbus"
have mksquashfs || want="$want squashfs-tools"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || have initdb || want="$want postgresql"
have cc && have c++ || want="$want g++"
sh "$(dirname "$0")/compiler.sh" .venv/bin/python >/dev/null 2>&1 || have python3-config || want="$want python3-dev"
[ -z "$want" ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "not installed, tests that need them will skip:$want" >&2
elif [ "$(id -u)" = 0 ]; then
    echo "installing$want ..." >&2
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $want >/dev/null
elif sudo -n true 2>/dev/null; then
    echo "installing$want ..." >&2
    sudo -n apt-get update -qq
    sudo -n env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $want >/dev/null
else
    echo "tests that need them will skip; to run them too: sudo apt-get install -y$want" >&2
fi
