"""Runs ``python -m local`` as its user does: real processes, real signals, real files. And ``fleet``."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from select import select
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner, Result

from ops.__main__ import cli

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 240
"""Seconds after which a test gives up; nothing waits this long when all is well."""


def environment(**settings: str) -> dict[str, str]:
    """Return this environment without the settings that would point at another database."""
    hidden = (
        "CosmosDb",
        "CosmosDb__accountEndpoint",
        "COSMOS_DATABASE",
        "ArchiveStorage",
        "FLEET_GENERATION",
    )
    return {**{name: value for name, value in os.environ.items() if name not in hidden}, **settings}


def local(*arguments: str | Path | int, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "local", *map(str, arguments)],
        cwd=ROOT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


async def operated(settings: Mapping[str, str], *arguments: str) -> Result:
    """Run a command of ``fleet`` in this process: a process of its own would import for two seconds first.

    One at a time: it changes the environment and standard output of the process.
    """
    with patch.dict(os.environ, environment(**settings), clear=True):
        ended = await asyncio.to_thread(CliRunner().invoke, cli, list(arguments))
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return ended


@dataclass(slots=True)
class Running:
    """A command that serves."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal; return exit code and what was printed since it was ready."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str, str]:
        """Return exit code and what was printed since it was ready."""
        output, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output, errors


@contextmanager
def serving(*arguments: str | Path | int, **settings: str) -> Iterator[Running]:
    """Start a command, wait for its ready line, and see to it that it is gone afterwards."""
    with subprocess.Popen(
        [sys.executable, "-m", "local", *map(str, arguments)],
        cwd=ROOT,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            readable, _, _ = select([process.stdout], [], [], PATIENCE)
            line = process.stdout.readline() if readable else ""
            if not line:
                process.kill()
                raise AssertionError(f"{arguments} did not get ready:\n{process.communicate()[1]}")
            yield Running(process, json.loads(line))
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()


def up(data: Path, instances: int, **settings: str):
    """Start a stack on free ports."""
    ports = ("--cosmos-port", 0, "--blob-port", 0, "--http-port", 0)
    return serving("up", "--data", data, "--instances", instances, *ports, **settings)


def children_of(pid: int) -> dict[int, str]:
    """Return the command lines of the children of a process, by their process id."""
    found: dict[int, str] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found[int(stat.parent.name)] = (stat.parent / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return found


def wait_until_gone(pids: Mapping[int, str] | list[int]) -> None:
    """Wait until none of the processes exists; fail if one stays."""
    for pid in pids:
        try:
            watch = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            assert select([watch], [], [], PATIENCE)[0], f"process {pid} is still there"
        finally:
            os.close(watch)
