"""The processes of a soak: database server and hosts, killed, stopped, frozen and started again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from local.processes import Child, StackError, exit_text, start_command
from local.stack import HOST_GRACE, START_TIMEOUT, Stack, StackConfig, running_stack
from tests.soak.memory import Series, resident

START_ATTEMPTS = 8
"""A host that meets a fault while it starts ends, as a container does, and is started again."""

HOST_SETTINGS = {
    # The auditor's timer must not repair, before anybody has looked, what a soak is there to find.
    "FLEET_AUDIT_DELAY_SECONDS": "86400",
    # Full within minutes: documents are dropped and read again, and a leak is told from a cache that fills.
    "FLEET_CACHE_BYTES": str(8 * 1024 * 1024),
    "FLEET_MERGE_BYTES": str(8 * 1024 * 1024),
}


@dataclass(slots=True)
class Member:
    """A running process."""

    child: Child
    series: Series
    since: float = field(default_factory=monotonic)


class Crew:
    """The processes that run now, by name."""

    def __init__(self, stack: Stack, random: Random) -> None:
        self._stack = stack
        self._random = random
        self._starts: Counter[str] = Counter()
        self._highest = 0
        self.hosts: dict[str, Member] = {}
        self.database: Member | None = None
        self.frozen: set[str] = set()
        self.frozen_logs: list[str] = []
        """Logs of hosts that were stopped for a while."""
        self.measuring = True
        """Whether memory is noted: not while the soak itself reads the whole database."""
        self.killed: set[int] = set()
        """Process ids of hosts that were killed with -9."""
        self.series: list[Series] = []
        self.failed_starts: list[str] = []
        """Why a host did not start; it was started again."""
        self.bad_ends: list[str] = []
        """Hosts that did not end as a SIGTERM asks for."""
        for child in stack.services:
            member = self._member(child)
            if child.name == "cosmos":
                self.database = member
            else:
                self._others = [member]

    def _member(self, child: Child) -> Member:
        series = Series(child.log.stem, child.pid)
        self.series.append(series)
        return Member(child, series)

    def _log(self, name: str) -> Path:
        """Return a log file for one life of a process: what a kill cuts off stays at its end."""
        self._starts[name] += 1
        return self._stack.logs / f"{name}.{self._starts[name]}.log"

    def new_name(self) -> str:
        """Return a name that no host had."""
        self._highest += 1
        return f"host-{self._highest}"

    def victim(self) -> str:
        """Draw a host that may be disturbed."""
        return self._random.choice(sorted(self.hosts.keys() - self.frozen))

    async def start_host(self, name: str, *, loses: Iterable[str] = ()) -> None:
        """Start a host; again, if faults keep it from starting.

        Parameters
        ----------
        loses
            Functions that lose a batch, one for each time that they are named.

        Raises
        ------
        StackError
            It did not start in so many attempts.
        """
        for attempt in range(1, START_ATTEMPTS + 1):
            log = self._log(name)
            arguments = ["host", "--instance", name, "--data", str(self._stack.config.data)]
            arguments += [argument for function in loses for argument in ("--lose", function)]
            environment = self._stack.connection.environment() | HOST_SETTINGS
            try:
                child, _ = await start_command(
                    name, arguments, log=log, environment=environment, timeout=START_TIMEOUT
                )
            except StackError as error:
                self.failed_starts.append(str(error).splitlines()[0])
                if attempt == START_ATTEMPTS:
                    raise
                continue
            self._stack.host_processes.append(child)
            self.hosts[name] = self._member(child)
            return

    async def kill_host(self, name: str) -> None:
        """Kill a host with -9."""
        child = self._dismiss(name)
        self.killed.add(child.pid)
        child.process.kill()
        await child.process.wait()

    async def stop_host(self, name: str) -> None:
        """Stop a host with SIGTERM; it must end by itself, in its time, and with exit code 0."""
        child = self._dismiss(name)
        in_time = await child.stop(HOST_GRACE)
        code = child.process.returncode
        if not in_time or code != 0:
            self.bad_ends.append(f"{child.log.stem}: {exit_text(code)} after SIGTERM")

    def _dismiss(self, name: str) -> Child:
        """Take a host from the list of those that must run."""
        child = self.hosts.pop(name).child
        self._stack.host_processes.remove(child)
        return child

    def freeze_host(self, name: str) -> None:
        """Stop a host's clock: it neither works nor knows that it does not."""
        member = self.hosts[name]
        self.frozen.add(name)
        self.frozen_logs.append(member.child.log.stem)
        os.kill(member.child.pid, signal.SIGSTOP)

    def thaw_hosts(self) -> list[str]:
        """Let frozen hosts go on; return which."""
        names = sorted(self.frozen)
        for name in names:
            os.kill(self.hosts[name].child.pid, signal.SIGCONT)
        self.frozen.clear()
        return names

    async def kill_database(self) -> None:
        """Kill the database server with -9."""
        assert self.database is not None
        child, self.database = self.database.child, None
        self._stack.services.remove(child)
        child.process.kill()
        await child.process.wait()

    async def start_database(self) -> None:
        """Start the database server on the port and the data that it had.

        Raises
        ------
        StackError
            It does not start.
        """
        arguments = [
            "--port",
            str(self._stack.cosmos["port"]),
            "--data",
            str(self._stack.config.data / "cosmos"),
        ]
        child, report = await start_command(
            "cosmos",
            ["cosmos", *arguments],
            log=self._log("cosmos"),
            environment=os.environ,
            timeout=START_TIMEOUT,
        )
        self._stack.services.append(child)
        self.database = self._member(child)
        assert report["connection_string"] == self._stack.cosmos["connection_string"]

    def sample(self) -> None:
        """Note the memory of every process that runs and is not frozen.

        Raises
        ------
        StackError
            A process ended although nobody asked it to.
        """
        for member in self._members():
            if member.child.process.returncode is not None:
                raise member.child.failure()
            size = resident(member.child.pid) if self.measuring else None
            if size is not None and member.child.name not in self.frozen:
                member.series.samples.append((monotonic() - member.since, size))

    def end_lap(self) -> None:
        """Note the memory of every process at the end of a lap."""
        for member in self._members():
            size = resident(member.child.pid)
            if size is not None:
                member.series.laps.append(size)

    def _members(self) -> list[Member]:
        database = [] if self.database is None else [self.database]
        return [*self.hosts.values(), *self._others, *database]

    def summary(self) -> dict[str, Any]:
        """Return what the report says of starts and ends."""
        return {
            "failed_starts": dict(Counter(self.failed_starts)),
            "bad_ends": self.bad_ends,
            "processes": len(self.series),
        }


@asynccontextmanager
async def running_crew(data: Path, hosts: int, seed: int) -> AsyncIterator[tuple[Stack, Crew]]:
    """Start database server, blob storage and hosts; stop what runs at the end, thawed."""
    async with running_stack(StackConfig(data, instances=0)) as stack:
        crew = Crew(stack, Random(f"{seed}:crew"))
        try:
            await asyncio.gather(*(crew.start_host(crew.new_name()) for _ in range(hosts)))
            yield stack, crew
        finally:
            crew.thaw_hosts()
