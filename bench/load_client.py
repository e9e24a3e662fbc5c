"""The client processes of a load, seen from the bench."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import Any, Self

from bench.load import Task, encode
from local.processes import ROOT, StackError, die_with_parent

GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ClientProcess:
    """A process of :mod:`bench.load`. It does not outlive this one."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    errors: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def start(cls, task: Task) -> Self:
        """Start a process and send it its task."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.load",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
            preexec_fn=die_with_parent(),
        )
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("the client process has no pipes")
        process.stdin.write(encode(task))
        return cls(process, process.stdout, process.stderr, process.stdin)

    def go(self) -> None:
        """Let it begin."""
        self.writer.write(b"go\n")

    async def answer(self) -> dict[str, Any]:
        """Return the next thing it says.

        Raises
        ------
        StackError
            It failed.
        """
        line = await self.reader.readline()
        if not line:
            said = (await self.errors.read()).decode(errors="replace").strip().splitlines()
            raise StackError(said[-1] if said else "a client process ended without a word")
        report: dict[str, Any] = json.loads(line)
        if "error" in report:
            raise StackError(report["error"])
        return report

    async def end(self) -> None:
        """Let it end, and kill it if it does not."""
        self.writer.close()
        try:
            await asyncio.wait_for(self.process.wait(), GRACE_SECONDS)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
