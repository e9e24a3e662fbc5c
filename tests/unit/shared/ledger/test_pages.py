"""Ledger pages stay small whatever is put on them."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.aggregates.person_record import PersonRecord
from shared.facts import ABUSE_INCIDENTS, IncidentFact
from shared.ingest.sources import SOURCES
from shared.ledger.apply import ShardWriter
from shared.ledger.changes import Change, Verdict
from shared.ledger.document_version import Version, VersionOrder
from shared.ledger.pages import Entry, Page
from shared.ledger.shards import shard_of
from shared.ledger.sizes import PAGE_BYTES
from shared.ledger.state import decode_state
from shared.ledger.store import ShardStore
from shared.pricing.table import PriceTable, list_prices
from shared.units import Millis
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer
from tests.long_names import long_name

SOURCE = SOURCES["user_interactions"]
PRICES = PriceTable(list_prices())
SHARD = shard_of("ann", shards=1, generation=1)
FIRST = 1_754_400_000
"""2025-08-05T13:20:00Z"""


def change(number: int, *, citations: int = 0, written: int = FIRST, **fields: Any) -> Change:
    document = {
        "id": f"i{number % 1000}",
        "user_id": f"person-{number % 7}",
        "timestamp": "2025-08-05T13:00:00Z",
        "response_text": "…",
        "foundational_texts_used": [
            {"source": long_name(0), "chapter": long_name(n), "verse": long_name(n), "relevance_score": 0.5}
            for n in range(citations)
        ],
        "cost_data": {"input_tokens": 1, "output_tokens": 1, "model_used": "gemini-2.5-flash"},
        "_ts": written,
        "_lsn": number,
        "_etag": f'"{number}"',
        **fields,
    }
    return SOURCE.to_change(document, PRICES, False)


async def no_records(_: Collection[str]) -> dict[str, PersonRecord]:
    return {}


def writer(container: FakeContainer) -> ShardWriter:
    return ShardWriter(ShardStore(container, cache_bytes=0), no_records, clock=FakeClock(lambda: FIRST))  # type: ignore[arg-type]


def pages(container: FakeContainer) -> list[Page]:
    found = [decode_state(item) for item in container.items.values() if item["kind"] == "ledger"]
    return [page for page in found if isinstance(page, Page)]


async def test_facts_with_many_citations_open_further_parts_before_a_page_grows_large() -> None:
    container = FakeContainer()
    for start in range(0, 120, 10):
        large = [change(n, citations=50) for n in range(start, start + 10)]
        result = await writer(container).apply(SHARD, SOURCE.name, large)
        assert result.verdicts == {Verdict.ADDED: 10}
    found = pages(container)
    assert sum(len(list(page)) for page in found) == 120
    assert len(found) > 1
    for page in found:
        assert page.size < PAGE_BYTES + 20_000
    first = next(page for page in found if page.part == 0)
    assert first.parts == len(found)


async def test_a_page_whose_entries_grow_gives_some_to_another_part(monkeypatch: pytest.MonkeyPatch) -> None:
    most = 128 * 1024
    monkeypatch.setattr("shared.ledger.pages.MAX_PAGE_BYTES", most)
    container = FakeContainer()
    await writer(container).apply(SHARD, SOURCE.name, [change(n) for n in range(150)])
    assert len(pages(container)) == 1
    for n in range(150):
        grown = change(1000 + n, citations=50, written=FIRST + 1, user_id=f"person-{n % 7}")
        assert (await writer(container).apply(SHARD, SOURCE.name, [grown])).verdicts == {Verdict.REPLACED: 1}
    found = pages(container)
    assert sum(len(list(page)) for page in found) == 150
    assert len(found) > 1
    assert all(page.size <= most for page in found)


def test_the_size_of_a_page_follows_what_is_put_and_removed() -> None:
    page = Page(SHARD, SOURCE.name, change(1).fact.hour)
    one = change(1, citations=3)
    page.put("ann", "i1", Entry(one.version, one.fact))
    size = page.size
    page.put("ann", "i1", Entry(one.version, one.fact))
    assert page.size == size > 0
    page.remove("ann", "i1")
    assert page.size == 0


@given(st.text(max_size=40), st.text(max_size=40), st.lists(st.text(max_size=20), max_size=5))
def test_the_size_of_a_page_is_that_of_its_json_in_any_script(
    user_id: str, document_id: str, actions: list[str]
) -> None:
    page = Page(SHARD, ABUSE_INCIDENTS, change(1).fact.hour)
    for number in range(20):
        fact = IncidentFact(user_id=user_id, at=Millis(0), actions=tuple(actions))
        page.put(f"{user_id}{number}", document_id, Entry(change(1).version, fact))
    sent = len(json.dumps(page.entries, separators=(",", ":"), ensure_ascii=False).encode())
    assert sent <= page.size <= 1.1 * sent


@pytest.mark.parametrize(
    ("ts", "lsn", "order"),
    [
        (10, 6, VersionOrder.NEWER),
        (11, 6, VersionOrder.NEWER),
        (10, 4, VersionOrder.OLDER),
        (9, 4, VersionOrder.OLDER),
        (9, 6, VersionOrder.UNKNOWN),
        (11, 4, VersionOrder.UNKNOWN),
        (10, 5, VersionOrder.UNKNOWN),
        (11, None, VersionOrder.UNKNOWN),
        (9, None, VersionOrder.UNKNOWN),
    ],
)
def test_versions_are_ordered_where_clock_and_sequence_agree(
    ts: int, lsn: int | None, order: VersionOrder
) -> None:
    assert Version(ts, lsn, "b").order_against(Version(10, 5, "a")) is order
    assert Version(ts, lsn, "a").order_against(Version(10, 5, "a")) is VersionOrder.SAME


def test_a_copy_without_system_properties_is_older_than_everything() -> None:
    assert Version.of({"id": "x"}).order_against(Version(0, 0, "a")) is VersionOrder.OLDER
