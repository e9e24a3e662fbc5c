#!/bin/sh
# The operator's command line. `make setup` copies this file next to the environment's Python: .venv/bin/fleet.
self=$0
if [ -L "$self" ]; then self=$(readlink -f "$self"); fi
bin=$(cd "$(dirname "$self")" && pwd)
root=$(cd "$bin/../.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
exec "$bin/python" -P -m ops "$@"
