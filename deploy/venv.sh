#!/bin/sh
# venv.sh PYTHON DIR: make a virtual environment, also on a Debian that split ensurepip into python3-venv.
set -eu
python=$1
dir=$2
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "wumu needs Python 3.11 or newer; $python is $("$python" -V 2>&1). Say which: make PYTHON=python3.12 …" >&2
    exit 1
}
[ -x "$dir/bin/python" ] && "$dir/bin/python" -m pip --version >/dev/null 2>&1 && exit 0
"$python" -m venv "$dir" 2>/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing python3-venv, which this Debian keeps apart from Python" >&2
    apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv ca-certificates >/dev/null
    exec "$python" -m venv --clear "$dir"
fi
echo "Python cannot make a virtual environment here. Install the missing part: sudo apt-get install python3-venv" >&2
exit 1
