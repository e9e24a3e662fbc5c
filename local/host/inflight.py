"""A small file that says which invocations are in flight, so that a process that dies does not die silently.

Nothing in a process can report its own ``os._exit``, segmentation fault or kill for want of memory. Its file
can: it lies in the data folder, is written at the beginning and end of each invocation, and is locked for as
long as the process lives. Whoever finds it without a lock says what its process was doing.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

FOLDER = "in-flight"


@dataclass(frozen=True, slots=True)
class Flight:
    """One invocation that was in flight."""

    function: str
    invocation_id: str
    since: float
    """When it began, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class DeadHost:
    """A host process that ended without closing its file."""

    instance: str
    pid: int
    flights: tuple[Flight, ...]

    @property
    def doing(self) -> str:
        """What it was doing, as the end of a sentence."""
        if not self.flights:
            return "while no function ran"
        runs = (f"{flight.function} (invocation {flight.invocation_id})" for flight in self.flights)
        return f"while running {', '.join(runs)}"


class InFlight:
    """The file of this process; made by :func:`in_flight_file`."""

    def __init__(self, descriptor: int, instance: str) -> None:
        self._descriptor = descriptor
        self._instance = instance
        self._flights: dict[str, tuple[str, float]] = {}
        self._write()

    def begin(self, function: str, invocation_id: str) -> None:
        """Note that an invocation begins."""
        self._flights[invocation_id] = (function, time.time())
        self._write()

    def end(self, invocation_id: str) -> None:
        """Note that it has ended."""
        self._flights.pop(invocation_id, None)
        self._write()

    def _write(self) -> None:
        flights = [
            {"function": function, "invocation_id": one, "since": since}
            for one, (function, since) in self._flights.items()
        ]
        text = json.dumps({"instance": self._instance, "pid": os.getpid(), "invocations": flights})
        # One write and then the cut: a reader takes the first JSON object and never sees half of one. It is
        # not flushed to the disk, since it has to outlive the process and not the machine.
        data = text.encode() + b"\n"
        os.pwrite(self._descriptor, data, 0)
        os.ftruncate(self._descriptor, len(data))


@contextmanager
def in_flight_file(data_dir: Path, instance: str, process: str) -> Iterator[InFlight]:
    """Hold the file of one process; an orderly end takes it away.

    Parameters
    ----------
    process
        Tells apart processes that have the same instance name.
    """
    folder = data_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{quote(instance, safe='')}.{process}.json"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield InFlight(descriptor, instance)
        path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def take_dead(data_dir: Path) -> list[DeadHost]:
    """Return the hosts that died since somebody looked last, and take their files away."""
    return [dead for path in _files(data_dir) if (dead := _take(path)) is not None]


def find_dead(data_dir: Path, pid: int) -> DeadHost | None:
    """Return what the process ``pid`` was doing when it died; None if it ended in order, or lives."""
    for path in _files(data_dir):
        dead = _take(path, pid)
        if dead is not None:
            return dead
    return None


def _files(data_dir: Path) -> list[Path]:
    return sorted((data_dir / FOLDER).glob("*.json"))


def _take(path: Path, pid: int | None = None) -> DeadHost | None:
    """Read and remove a file, unless its process lives, is not ``pid``, or another host was faster."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        dead = _read(descriptor)
        if dead is None or (pid is not None and dead.pid != pid):
            return None
        if os.fstat(descriptor).st_nlink == 0:
            return None
        path.unlink()
        return dead
    except BlockingIOError:
        return None
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> DeadHost | None:
    text = os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")
    try:
        found: Mapping[str, Any] = json.JSONDecoder().raw_decode(text)[0]
    except ValueError:
        return None  # it died, or is, between creating the file and writing it: no invocation had begun
    flights = tuple(
        Flight(str(one["function"]), str(one["invocation_id"]), float(one["since"]))
        for one in found["invocations"]
    )
    return DeadHost(str(found["instance"]), int(found["pid"]), flights)
