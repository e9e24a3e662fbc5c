"""One host as a process of its own, for tests that kill it: ``python -m tests.integration.host.run_one``."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from local.host.errors import HostStartError
from local.host.runner import HostConfig, HostReady, run_host


def main() -> int:
    """Run a host; print one JSON line when it is ready. What functions print goes to the same stream."""
    parser = argparse.ArgumentParser()
    parser.add_argument("app", type=Path)
    parser.add_argument("instance")
    parser.add_argument("--http-port", type=int)
    parser.add_argument("--lease-seconds", type=float, default=1.5)
    arguments = parser.parse_args()
    config = HostConfig(
        arguments.app,
        arguments.instance,
        http_port=arguments.http_port,
        timer_lock_seconds=arguments.lease_seconds,
        durable_lease_seconds=arguments.lease_seconds,
    )

    def ready(host: HostReady) -> None:
        line = {"ready": host.instance, "http_port": host.http_port, "keys_file": str(host.keys_file)}
        print(json.dumps(line), flush=True)

    try:
        asyncio.run(run_host(config, on_ready=ready))
    except HostStartError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
