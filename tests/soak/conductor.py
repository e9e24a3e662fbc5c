"""Carries out the timetable of disturbances, one after the other, and writes down what it did."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from azure.core.exceptions import AzureError

from local.connection import DEFAULT_DATABASE
from shared.errors import FleetError
from shared.fleet.wiring import connected_fleet
from shared.settings import Settings
from tests.acceptance.fleet import RunningFleet
from tests.corrections import Document
from tests.soak.crew import Crew
from tests.soak.plan import FAULT_SETS, LOST_BATCHES, SOURCES, Kind, Step

DAY = 86_400
"""Seconds by which the auditor stays behind: longer than a soak."""

LOOKS = 5
"""How often the auditor looks again, if faults kept it from looking at all feeds."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One disturbance that happened."""

    at: float
    """Seconds after the traffic began."""
    kind: Kind
    what: str


class Conductor:
    """Disturbs a fleet by a timetable.

    Parameters
    ----------
    seed
        Decides which requests the faults strike.
    tell
        Is told every deed.
    """

    def __init__(self, fleet: RunningFleet, crew: Crew, *, seed: int, tell: Callable[[Deed], None]) -> None:
        self._fleet = fleet
        self._crew = crew
        self._seed = seed
        self._tell = tell
        self._started = monotonic()
        self._faults = "none"
        self._struck = 0
        self.deeds: list[Deed] = []
        self.splits: Counter[str] = Counter()
        self.looked = False
        """Whether the auditor has looked at all feeds once."""

    @property
    def struck(self) -> int:
        """Requests that faults have struck, of the sets that are no longer in force."""
        return self._struck

    @property
    def database_kills(self) -> int:
        """How often the database server was killed."""
        return sum("killed the database" in deed.what for deed in self.deeds)

    def count(self, *kinds: Kind) -> int:
        """Return how many deeds were of some kinds."""
        return sum(deed.kind in kinds for deed in self.deeds)

    async def run(self, steps: list[Step], seconds: float) -> None:
        """Carry out every step that comes due within ``seconds``.

        Raises
        ------
        local.processes.StackError
            A process did not start again.
        """
        self._started = monotonic()
        for step in steps:
            await asyncio.sleep(max(0.0, step.at - self._elapsed()))
            if self._elapsed() > seconds:
                break
            at = self._elapsed()
            what = await self._do(step)
            if what:
                deed = Deed(at, step.kind, what)
                self.deeds.append(deed)
                self._tell(deed)

    async def calm(self) -> None:
        """End all faults and thaw what is frozen: from now on everything has to come right."""
        self._crew.thaw_hosts()
        await self._set_faults("none")

    def _elapsed(self) -> float:
        return monotonic() - self._started

    async def _do(self, step: Step) -> str:
        match step.kind:
            case Kind.FAULTS:
                await self._set_faults(str(step.subject))
                return f"faults: {step.subject}"
            case Kind.KILL_HOST | Kind.STOP_HOST:
                return await self._replace_host(step)
            case Kind.FREEZE_HOST:
                name = self._crew.victim()
                self._crew.freeze_host(name)
                return f"froze {name}"
            case Kind.THAW_HOST:
                return f"thawed {', '.join(self._crew.thaw_hosts())}"
            case Kind.KILL_DATABASE:
                await self._kill_database(step.pause)
                return f"killed the database, {step.pause:.1f} s later it is back"
            case Kind.KILL_BOTH:
                killing = asyncio.create_task(self._kill_database(step.pause))
                host = await self._replace_host(step)
                await killing
                return f"killed the database; {host}"
            case Kind.SPLIT:
                return await self._split(str(step.subject))
            case Kind.SPLIT_AND_KILL:
                what = await self._split(str(step.subject))
                await self._kill_database(step.pause)
                return f"{what}, and killed the database at once"
            case Kind.LOOK:
                return await self._look()

    async def _replace_host(self, step: Step) -> str:
        crew = self._crew
        name = crew.victim()
        graceful = step.kind is Kind.STOP_HOST
        await (crew.stop_host(name) if graceful else crew.kill_host(name))
        await asyncio.sleep(step.pause)
        successor = crew.new_name() if step.renamed else name
        losses = [f"fold_{source}" for source in SOURCES] * LOST_BATCHES if step.loses else []
        await crew.start_host(successor, loses=losses)
        loses = ", which loses batches" if step.loses else ""
        return f"{'stopped' if graceful else 'killed'} {name}, then started {successor}{loses}"

    async def _kill_database(self, pause: float) -> None:
        await self._count_struck()
        await self._crew.kill_database()
        await asyncio.sleep(pause)
        await self._crew.start_database()
        await self._put_faults()

    async def _split(self, container: str) -> str:
        body: Document = {"database": DEFAULT_DATABASE, "container": container}
        answer = await asyncio.to_thread(self._fleet.server, "POST", "split", body)
        self.splits[container] += 1
        return f"split partition {answer['partition']} of {container} into {' and '.join(answer['children'])}"

    async def _look(self) -> str:
        """Let the auditor look at all feeds while nothing is old enough to be read."""
        why = ""
        for _ in range(LOOKS):
            try:
                async with connected_fleet(Settings(**self._fleet.stack.settings)) as fleet:
                    await fleet.auditor.audit_all(delay_seconds=DAY)
            except (AzureError, FleetError) as error:
                why = type(error).__name__
            else:
                self.looked = True
                return "the auditor looked at all feeds"
        return f"the auditor could not look at all feeds ({why})"

    async def _set_faults(self, name: str) -> None:
        await self._count_struck()
        self._faults = name
        await self._put_faults()

    async def _put_faults(self) -> None:
        body: Document = {"seed": self._seed, "rules": FAULT_SETS[self._faults]}
        await asyncio.to_thread(self._fleet.server, "PUT", "faults", body)

    async def _count_struck(self) -> None:
        self._struck += (await asyncio.to_thread(self._fleet.server, "GET", "faults"))["struck"]
