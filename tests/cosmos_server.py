"""The real database server as a process of its own, which a test can kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
STOP_SECONDS = 20


@dataclass
class ServerProcess:
    """A running server."""

    process: subprocess.Popen[str]
    endpoint: str
    port: int
    connection_string: str

    @property
    def key(self) -> str:
        return self.connection_string.partition("AccountKey=")[2].rstrip(";")

    def kill(self) -> None:
        """Kill it with -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Stop it as an operator would; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def local(self, method: str, name: str, body: dict[str, Any] | None = None) -> Any:
        """Call the admin surface; return what it answers."""
        request = urllib.request.Request(  # noqa: S310
            f"{self.endpoint}_local/{name}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"x-local-key": self.key},
        )
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            content = response.read()
        return json.loads(content) if content else None


@contextmanager
def running_server(data_dir: Path, *, port: int = 0, partitions: int = 4) -> Iterator[ServerProcess]:
    """Start a server on ``data_dir``; stop it at the end unless it is dead by then."""
    command = [sys.executable, "-m", "local", "cosmos", "--port", str(port), "--data", str(data_dir)]
    process = subprocess.Popen(
        [*command, "--partitions", str(partitions)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the server did not start: exit code {process.wait()}")
    ready = json.loads(line)
    server = ServerProcess(process, ready["endpoint"], ready["port"], ready["connection_string"])
    try:
        yield server
    finally:
        if process.poll() is None:
            server.stop()
        process.stdout.close()
