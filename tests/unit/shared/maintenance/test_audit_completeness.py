"""Everything older than the horizon was seen, in any order of writes, splits, merges, audits and crashes.

The auditor reads the real database server through the real SDK, in this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import AsyncMock, patch

from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, DatabaseProxy
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from shared.maintenance import audit_run
from shared.maintenance.audit import Auditor, AuditReport
from shared.settings import Settings
from tests.cosmos_in_process import InProcessCosmos, key_of
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer, Killed

Result = TypeVar("Result")
Action = Callable[[], Coroutine[Any, Any, None]]

FEED = "user_interactions"
PAGE = 3
LONG, NO_TIME = 1e9, 0.0
"""Budgets of a run in seconds: all that it needs, and one page."""

USERS = sorted((f"user {n}" for n in range(12)), key=key_of)
"""People in the order of their partition keys: the first half of them is the first half of the feed."""


class Fold:
    """Remembers which versions were seen.

    Attributes
    ----------
    seen
        Id and etag of each.
    plan
        What happens before a batch is folded, one entry per batch: an action, a failure, or nothing.
    """

    def __init__(self) -> None:
        self.seen: set[tuple[str, str]] = set()
        self.live: set[str] = set()
        self.plan: list[Action | BaseException | None] = []

    async def ingest_batch(self, _: str, documents: Sequence[dict[str, Any]], **options: Any) -> Any:
        step = self.plan.pop(0) if self.plan else None
        if isinstance(step, BaseException):
            raise step
        if step is not None:
            await step()
        versions = {(document["id"], document["_etag"]) for document in documents}
        new = versions - self.seen
        self.seen |= versions
        if options.get("live"):
            self.live |= {document["_etag"] for document in documents}
        return SimpleNamespace(changed=len(new), still_in_poison=0)


class Completeness(RuleBasedStateMachine):
    """Several auditors on a feed whose partitions change."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000
        self.loop = asyncio.new_event_loop()
        self.cosmos = InProcessCosmos(lambda: self.now)
        self.exit = AsyncExitStack()
        self.exit.enter_context(self.cosmos.at_its_time())
        for name in ("PAGE_SIZE", "FIRST_PAGE_SIZE"):
            self.exit.enter_context(patch.object(audit_run, name, PAGE))
        self.fold = Fold()
        self.cursors = FakeContainer("scope")
        self.databases: list[DatabaseProxy] = []
        self.writes = 0

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(work)

    @initialize(clients=st.integers(1, 3))
    def connect(self, clients: int) -> None:
        async def work() -> None:
            for _ in range(clients):
                self.databases.append(await self.exit.enter_async_context(self.cosmos.client()))
            await self.databases[0].create_container(FEED, PartitionKey("/user_id"))

        self.run(work())

    def teardown(self) -> None:
        try:
            if self.databases:
                self.run(self.catch_up())
        finally:
            self.run(self.exit.aclose())
            self.loop.close()
            self.cosmos.close()

    def container(self) -> ContainerProxy:
        return self.databases[0].get_container_client(FEED)

    async def write(self, users: Sequence[str], count: int) -> None:
        """Write documents of some people in turn: new ones, and new versions of the last ones."""
        for number in range(count):
            self.writes += 1
            user = users[number % len(users)]
            await self.container().upsert_item({"id": f"{user} {self.writes % 5}", "user_id": user})

    def auditor(self, client: int = 0) -> Auditor:
        database: Any = self.databases[client % len(self.databases)]
        nothing: Any = None
        cursors: Any = self.cursors
        fold: Any = self.fold
        return Auditor(
            reader=database,
            cursors=cursors,
            ingest=fold,
            publisher=nothing,
            generations=nothing,
            mark=AsyncMock(),
            settings=Settings(),
            clock=FakeClock(lambda: self.now, lambda: 1.0),
        )

    async def audit(
        self, client: int, delay: int, deadline: float, *, from_beginning: bool = False
    ) -> AuditReport:
        horizon = self.now - delay
        there = self.versions(horizon)
        report = await self.auditor(client).audit(
            FEED, delay_seconds=delay, deadline=deadline, from_beginning=from_beginning
        )
        if report.caught_up:
            # The statement. A version that was replaced meanwhile is in the feed no more.
            missed = (there & self.versions(horizon)) - self.fold.seen
            assert not missed, f"not seen up to {horizon}: {missed}"
        return report

    def versions(self, horizon: int) -> set[tuple[str, str]]:
        """Return all versions that were written up to a time."""
        documents = self.cosmos.documents(FEED)
        return {(document["id"], document["_etag"]) for document in documents if document["_ts"] <= horizon}

    async def catch_up(self) -> None:
        """Check that the audit gets to the end, whatever happened before."""
        self.fold.plan = []
        for client in range(len(self.databases)):
            assert (await self.audit(client, 0, LONG)).caught_up
        seen = len(self.fold.seen)
        assert (await self.audit(0, 0, LONG)).repaired == 0
        assert len(self.fold.seen) == seen

    @rule(half=st.sampled_from(["first", "second", "both"]), count=st.integers(1, 12))
    def traffic(self, half: str, count: int) -> None:
        middle = len(USERS) // 2
        users = {"first": USERS[:middle], "second": USERS[middle:], "both": USERS}[half]
        self.run(self.write(users, count))

    @rule(seconds=st.sampled_from([1, 40, 200, 400]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(number=st.integers(0, 7))
    def split(self, number: int) -> None:
        if len(self.cosmos.partitions(FEED)) < 8:
            self.cosmos.split(FEED, number)

    @rule(number=st.integers(0, 7))
    def merge(self, number: int) -> None:
        self.cosmos.merge(FEED, number)

    @rule(
        client=st.integers(0, 2),
        delay=st.sampled_from([0, 60, 300]),
        deadline=st.sampled_from([LONG, NO_TIME]),
        from_beginning=st.sampled_from([False, False, False, True]),
    )
    def one_audits(self, client: int, delay: int, deadline: float, from_beginning: bool) -> None:
        self.run(self.audit(client, delay, deadline, from_beginning=from_beginning))

    @rule(delays=st.lists(st.sampled_from([0, 60, 300]), min_size=2, max_size=3))
    def several_audit(self, delays: list[int]) -> None:
        async def work() -> None:
            await asyncio.gather(*(self.audit(n, delay, LONG) for n, delay in enumerate(delays)))

        self.run(work())

    @rule(
        delay=st.sampled_from([0, 60, 300]),
        after=st.integers(0, 3),
        event=st.sampled_from(["split", "merge", "first", "second", "wait", "dies", "fails"]),
        number=st.integers(0, 7),
    )
    def something_happens_in_an_audit(self, delay: int, after: int, event: str, number: int) -> None:
        async def act() -> None:
            match event:
                case "split":
                    self.split(number)
                case "merge":
                    self.merge(number)
                case "wait":
                    self.now += 100
                case half:
                    middle = len(USERS) // 2
                    await self.write(USERS[:middle] if half == "first" else USERS[middle:], 2 * PAGE)

        ends: dict[str, BaseException] = {"dies": Killed(), "fails": ConnectionError("the fold fails")}
        self.fold.plan = [*[None] * after, ends.get(event, act)]
        try:
            self.run(self.audit(number, delay, LONG))
        except (Killed, ConnectionError):
            assert event in ends
        self.fold.plan = []

    @rule(operation=st.sampled_from(["create", "replace"]), when=st.sampled_from(["before", "after"]))
    def it_dies_while_it_stores_a_cursor(self, operation: str, when: str) -> None:
        def fault(at: str, moment: str) -> None:
            if (at, moment) == (operation, when):
                raise Killed

        self.cursors.fault = fault
        with suppress(Killed):
            self.run(self.audit(0, 0, LONG))
        self.cursors.fault = lambda *_: None


TestCompleteness = Completeness.TestCase
TestCompleteness.settings = settings(
    max_examples=40,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
