"""Child processes of the stack: started with a log file, known to be ready, stopped for certain.

A child that is one of our own commands reports on a pipe, ``--ready-fd``, as one JSON line: either
``{"ready": true, …}`` or ``{"error": "…"}``. Its standard output and error go to a log file, so that it
never waits for us to read them.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
LOG_LINES_IN_ERRORS = 12
LOG_BYTES_IN_ERRORS = 8_192
READY_LINE_BYTES = 65_536


class StackError(Exception):
    """The stack cannot start or go on. The message says which part, why, and where its log is.

    Parameters
    ----------
    headline
        One sentence.
    log
        The log of the part, whose end is printed before the headline, so that the headline stays in sight.
    """

    def __init__(self, headline: str, log: Path | None = None) -> None:
        self.headline = headline
        self.details = "" if log is None else f"The end of {log}:\n{log_tail(log)}"
        super().__init__(f"{self.details}\n{headline}" if self.details else headline)


@dataclass(slots=True)
class Child:
    """A running child process."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    async def stop(self, grace: float) -> bool:
        """Ask it to end with SIGTERM, and kill it after ``grace`` seconds.

        Returns
        -------
        bool
            True if it ended by itself within its time.
        """
        if self.process.returncode is not None:
            return True
        self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), grace)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            return False
        return True

    def failure(self, doing: str = "") -> StackError:
        """Describe that the process ended although nobody asked it to, and what it was doing, if known."""
        end = f"({exit_text(self.process.returncode)}) {doing}".strip()
        return StackError(f"{self.name} stopped unexpectedly {end}; its log is {self.log}", self.log)


async def start_child(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start a process in a session of its own that does not outlive this one, even one killed with -9."""
    log.parent.mkdir(parents=True, exist_ok=True)
    die_too = die_with_parent()
    if die_too is None:
        command = [sys.executable, "-m", "local.guard", str(os.getpid()), *command]
    with log.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env=dict(environment),
            pass_fds=tuple(pass_fds),
            cwd=ROOT,  # where `python -m local` is found
            # Ctrl-C in a terminal reaches the whole process group; the order of stopping is ours to choose.
            start_new_session=True,
            preexec_fn=die_too,
        )
    return Child(name, process, log)


async def start_command(
    name: str, arguments: Sequence[str], *, log: Path, environment: Mapping[str, str], timeout: float
) -> tuple[Child, dict[str, Any]]:
    """Start ``python -m local`` with ``arguments`` and wait until it reports that it serves.

    Returns
    -------
    tuple
        The child, and the JSON object that it reported.

    Raises
    ------
    StackError
        It reported an error, ended, or said nothing within ``timeout`` seconds.
    """
    read_end, write_end = os.pipe()
    try:
        command = [sys.executable, "-m", "local", *arguments, "--ready-fd", str(write_end)]
        child = await start_child(name, command, log=log, environment=environment, pass_fds=[write_end])
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    try:
        line = await asyncio.wait_for(_read_line(read_end), timeout)
    except TimeoutError:
        await child.stop(grace=1)
        raise StackError(f"{name} did not report ready within {timeout:g} s; its log is {log}", log) from None
    except BaseException:
        await child.stop(grace=1)
        raise
    if not line:
        await child.process.wait()
        raise child.failure()
    report: dict[str, Any] = json.loads(line)
    if "error" in report:
        await child.process.wait()
        raise StackError(f"{name} could not start: {report['error']}")
    return child, report


async def _read_line(fd: int) -> bytes:
    reader = asyncio.StreamReader(limit=READY_LINE_BYTES)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb")
    )
    try:
        return await reader.readline()
    finally:
        transport.close()


class Reporter:
    """Tells whoever started this process, once, that it serves or why it cannot.

    Parameters
    ----------
    fd
        Pipe on which the parent waits; without one, readiness is printed on standard output.
    """

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        self._told = False

    def ready(self, report: Mapping[str, Any]) -> None:
        """Say that the process serves."""
        self._tell({"ready": True, **report})

    def failed(self, sentence: str) -> None:
        """Say why the process cannot start. Later failures are for its log and its exit code."""
        if self._fd is not None:
            self._tell({"error": sentence})

    def _tell(self, report: Mapping[str, Any]) -> None:
        if self._told:
            return
        self._told = True
        line = json.dumps(report)
        if self._fd is None:
            print(line, flush=True)
            return
        with os.fdopen(self._fd, "w") as pipe:
            pipe.write(line + "\n")


def die_with_parent() -> Callable[[], None] | None:
    """Return what a child runs before its program so that the kernel kills it when this process dies.

    None where the kernel cannot; the child then needs a guard.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def ask_kernel() -> None:
        # SIGKILL: a host that drained without its database would linger. A killed one loses nothing.
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call above
            os._exit(1)

    return ask_kernel


def exit_text(code: int | None) -> str:
    """Say how a process ended."""
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def log_tail(log: Path) -> str:
    """Return the last lines of a log, bounded in number and size."""
    if not log.exists():
        return "  (there is no log)"
    with log.open("rb") as source:
        source.seek(max(0, log.stat().st_size - LOG_BYTES_IN_ERRORS))
        lines = source.read().decode(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-LOG_LINES_IN_ERRORS:]) or "  (the log is empty)"
