"""The real database server as a process of its own: a test can kill it, and it does not outlive the tests."""

from __future__ import annotations

import json
import os
import select
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from local.processes import die_with_parent

ROOT = Path(__file__).parents[1]
START_SECONDS = 60
STOP_SECONDS = 20


@dataclass
class ServerProcess:
    """A running server."""

    process: subprocess.Popen[str]
    endpoint: str
    port: int
    connection_string: str
    certificate: str | None = None

    @property
    def key(self) -> str:
        return self.connection_string.partition("AccountKey=")[2].rstrip(";")

    def kill(self) -> None:
        """Kill it with -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Stop it as an operator would; return its exit code. One that does not stop in time is killed."""
        _end(self.process)
        return int(self.process.returncode)

    def local(self, method: str, name: str, body: dict[str, Any] | None = None) -> Any:
        """Call the admin surface; return what it answers."""
        request = urllib.request.Request(  # noqa: S310
            f"{self.endpoint}_local/{name}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"x-local-key": self.key},
        )
        context = ssl.create_default_context(cafile=self.certificate) if self.certificate else None
        with urllib.request.urlopen(request, timeout=10, context=context) as response:  # noqa: S310
            content = response.read()
        return json.loads(content) if content else None


@contextmanager
def running_server(
    data_dir: Path,
    *,
    port: int = 0,
    partitions: int = 4,
    options: Sequence[str] = (),
    log: IO[str] | None = None,
) -> Iterator[ServerProcess]:
    """Start a server on ``data_dir``; stop it at the end unless it is dead by then.

    Its standard error goes to ``log``, or to ours.
    """
    command = [sys.executable, "-m", "local", "cosmos", "--port", str(port), "--data", str(data_dir)]
    command += ["--partitions", str(partitions), *options]
    die_too = die_with_parent()
    if die_too is None:
        command = [sys.executable, "-m", "local.guard", str(os.getpid()), *command]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        cwd=ROOT,
        preexec_fn=die_too,
    )
    try:
        ready = _ready(process)
        found = {name: ready.get(name) for name in ("endpoint", "port", "connection_string", "certificate")}
        yield ServerProcess(process, **found)
    finally:
        try:
            _end(process)
        finally:
            assert process.stdout is not None
            process.stdout.close()


def _ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], START_SECONDS)[0]:
        raise RuntimeError(f"the server did not start within {START_SECONDS} s")
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the server did not start: exit code {process.wait(STOP_SECONDS)}")
    ready: dict[str, Any] = json.loads(line)
    return ready


def _end(process: subprocess.Popen[str]) -> None:
    """Stop the server, and kill it if it does not stop: nothing may be left of it."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
