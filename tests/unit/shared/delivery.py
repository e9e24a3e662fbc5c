"""Deliver documents to instances that fail: the ground of the tests that everything counts once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import strategies as st

from shared.aggregates.person_record import PersonRecord
from shared.cosmos import retries
from shared.cosmos.retries import UnavailableError
from shared.errors import DocumentError
from shared.facts import USER_INTERACTIONS
from shared.ingest.sources import SOURCES, Source
from shared.ledger.accounts import new_record
from shared.ledger.apply import ShardWriter
from shared.ledger.changes import Change, Verdict
from shared.ledger.shards import shard_of
from shared.ledger.store import ShardStore
from shared.pricing.table import PriceTable, list_prices
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer, Killed

Document = dict[str, Any]

PRICES = PriceTable(list_prices())


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "jittered_pause", lambda *_: 0.0)


class Instance:
    """One process: what it caches dies with it.

    Parameters
    ----------
    live
        The documents as they stand, by user and id.
    """

    def __init__(
        self,
        container: FakeContainer,
        live: Mapping[tuple[str, str], Document] | None = None,
        generation: int = 1,
        accounts: Mapping[tuple[str, str], Document] | None = None,
    ) -> None:
        self.accounts = accounts or {}
        store = ShardStore(container, cache_bytes=80_000)  # type: ignore[arg-type]
        # The tests' documents are of 2025, and so is their time.
        clock = FakeClock(lambda: datetime(2025, 10, 9, 9, tzinfo=UTC))
        self.prices = PRICES
        self.writer = ShardWriter(store, self.read_records, clock=clock)
        self.live = live or {}
        self.generation = generation
        self.conflicts = 0

    async def read_records(self, users: Collection[str]) -> dict[str, PersonRecord | None]:
        """Return the records of people from their accounts as they stand."""
        return {
            user_id: new_record(
                user_id, [raw for (owner, _), raw in self.accounts.items() if owner == user_id]
            )
            for user_id in users
        }

    async def ingest(
        self, batch: list[dict[str, Any]], source: Source = SOURCES[USER_INTERACTIONS]
    ) -> Counter[Verdict]:
        verdicts: Counter[Verdict] = Counter()
        by_shard = defaultdict(list)
        for raw in batch:
            change = change_of(source, raw, self.prices, live=False)
            by_shard[shard_of(change.user_id, shards=2, generation=self.generation)].append(change)
        for shard, changes in by_shard.items():
            result = await self.writer.apply(shard, source.name, changes)
            self.conflicts += result.conflicts
            verdicts.update(result.verdicts)
            for unknown in result.unknown:
                current = {
                    k: v for k, v in self.live[unknown.user_id, unknown.document_id].items() if k != "_lsn"
                }
                await self.writer.apply(
                    shard, source.name, [change_of(source, current, self.prices, live=True)]
                )
        return verdicts


def change_of(source: Source, raw: Document, prices: PriceTable = PRICES, *, live: bool) -> Change:
    try:
        return source.to_change(raw, prices, live)
    except DocumentError as error:
        taken_back = source.to_uncounted(raw, error, live)
        assert taken_back is not None
        return taken_back


class Faults:
    """Fails store operations by a plan: one entry is used up by each operation."""

    def __init__(self, plan: list[str]) -> None:
        self.plan = plan

    def __call__(self, operation: str, when: str) -> None:
        if not self.plan or (when == "before") != (self.plan[0] in ("refused", "die_before")):
            return
        match self.plan.pop(0):
            case "refused" | "cut off":  # what the transport makes of every fault that lasts
                raise UnavailableError("the container, the operation, the fault")
            case "die_before" | "die_after":
                raise Killed
            case "fine":
                return


faults = st.lists(
    st.sampled_from(["fine", "fine", "fine", "refused", "cut off", "die_before", "die_after"]), max_size=12
)


async def survive(
    instance: Instance,
    batch: list[dict[str, Any]],
    container: FakeContainer,
    source: Source = SOURCES[USER_INTERACTIONS],
) -> None:
    while True:
        try:
            await instance.ingest(batch, source)
        except Killed:
            instance = Instance(container, instance.live, accounts=instance.accounts)
        except UnavailableError:
            continue  # the invocation failed: the platform delivers the batch again
        else:
            return
