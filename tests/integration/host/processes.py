"""Hosts as processes: start, read what they print, stop or kill them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any


class HostProcess:
    """One running host. ``lines`` are the JSON lines that it and its functions printed so far."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self._changed = asyncio.Condition()
        self.lines: list[dict[str, Any]] = []
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        if self._process.stdout is None:
            raise RuntimeError("the process was started without a pipe")
        async for line in self._process.stdout:
            async with self._changed:
                self.lines.append(json.loads(line))
                self._changed.notify_all()
        async with self._changed:
            self._changed.notify_all()

    def printed(self, key: str) -> list[Any]:
        """Return the values of ``key`` in the lines that have it."""
        return [line[key] for line in self.lines if key in line]

    def log(self) -> list[dict[str, Any]]:
        """Return the structured log so far."""
        lines = self._log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds; it is looked at after each line."""
        try:
            async with asyncio.timeout(25), self._changed:
                await self._changed.wait_for(lambda: condition() or self._reader.done())
        except TimeoutError:
            raise AssertionError(f"not reached; printed {self.lines}\n{self._log.read_text()}") from None
        assert condition(), f"the host ended first:\n{self._log.read_text()}"

    async def terminate(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and return its exit code."""
        if self._process.returncode is None:
            self._process.send_signal(number)
        async with asyncio.timeout(20):
            code = await self._process.wait()
        await self._reader
        return code

    async def terminate_itself(self) -> int:
        """Wait for it to end by itself and return its exit code."""
        async with asyncio.timeout(25):
            return await self._process.wait()

    def errors(self) -> list[str]:
        """Return what it wrote to standard error that is not its log."""
        return [line for line in self._log.read_text().splitlines() if not line.startswith("{")]

    async def kill(self) -> None:
        """End it at once, with no chance to clean up."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reader

    def pause(self) -> None:
        """Let it stand still, as on a machine that sleeps."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after a pause."""
        self._process.send_signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """Send SIGTERM and go on."""
        self._process.send_signal(signal.SIGTERM)


async def spawn(
    folder: Path, instance: str, *options: str, env: Mapping[str, str] | None = None
) -> HostProcess:
    """Start a host process; it may not be ready yet."""
    log = folder / f"{instance}.log"
    with log.open("w") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.integration.host.run_one",
            str(folder),
            instance,
            *options,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **(env or {})},
        )
    return HostProcess(process, log)


@asynccontextmanager
async def host_process(
    folder: Path, instance: str, *options: str, env: Mapping[str, str] | None = None
) -> AsyncIterator[HostProcess]:
    """Run a host process for the length of a block; it is ready at the beginning."""
    host = await spawn(folder, instance, *options, env=env)
    try:
        await host.until(lambda: bool(host.printed("ready")))
        yield host
    finally:
        await host.kill()
