#!/bin/sh
# The operator's command line. `make setup` copies this file to .venv/bin/fleet.
self=$0
if [ -L "$self" ]; then self=$(readlink -f "$self"); fi
root=$(cd "$(dirname "$self")/../.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
exec "$root/.venv/bin/python" -P -m ops "$@"
