"""The record of a person: what is stored, what it weighs, and who refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.aggregates.document_index import DocumentIndex
from shared.aggregates.person_record import MonthSummary, PersonRecord
from shared.aggregates.tally import Mean
from shared.facts import USERS, ConsentFact, Uncounted
from shared.ledger.document_version import Version
from shared.ledger.pages import Entry
from shared.units import Day, EventHour, Micro, Millis, Month

AT = Millis(1_754_400_000_000)
labels = st.none() | st.text(max_size=64)
means = st.builds(Mean, st.integers(0, 10**7), st.integers(0, 10**4))
summaries = st.builds(
    MonthSummary,
    sessions=st.integers(0, 99),
    depth=st.none() | st.integers(0, 10**6).map(Micro),
    session_seconds=means,
    rating=means,
    persona=labels,
    category=labels,
    daytime=st.sampled_from(["night", "afternoon"]),
)
months = st.sampled_from([Month("202507"), Month("202508"), Month("202509")])
hours = st.sampled_from([EventHour("2025-08-05T10"), EventHour("2025-09-05T10")])


def account(fact: ConsentFact | Uncounted) -> dict[str, Any]:
    return Entry(Version(1_754_400_000, 1_000_000, '"00000000-0000-0000-0000-000000000000"'), fact).encode()


accounts = st.booleans().map(lambda no: account(ConsentFact(user_id="ana", at=AT, refused=no)))


@st.composite
def records(draw: st.DrawFn) -> PersonRecord:
    index = DocumentIndex()
    for hour in draw(st.lists(hours)):
        index.add(USERS, "AAAA", hour)
    return PersonRecord(
        draw(st.none() | st.just(Day("2024-03-01"))),
        draw(st.dictionaries(st.text(min_size=1, max_size=255), accounts, max_size=3)),
        index,
        draw(st.dictionaries(months, summaries)),
        draw(st.booleans()),
    )


@given(records())
def test_a_record_survives_being_stored_and_knows_its_size(record: PersonRecord) -> None:
    stored = json.dumps(record.encode(), separators=(",", ":"), ensure_ascii=False)
    assert PersonRecord.decode(json.loads(stored)) == record
    size = len(stored.encode())
    assert 0.9 * size <= record.weight <= size + 100 + 60 * (len(record.accounts) + len(record.months))


@given(records())
def test_what_the_index_of_the_service_needs_is_stored_only_where_it_holds(record: PersonRecord) -> None:
    stored = record.encode()
    assert stored.get("refused", False) is record.refused
    assert stored.get("pending", False) is record.pending
    assert False not in stored.values()


@given(records(), accounts, summaries)
def test_a_copy_is_independent(record: PersonRecord, another: dict[str, Any], summary: MonthSummary) -> None:
    before = json.dumps(record.encode())
    copied = record.copy()
    assert copied == record
    copied.accounts["another"] = another
    copied.months[Month("202512")] = summary
    copied.index.add(USERS, "BBBB", EventHour("2025-08-05T10"))
    copied.pending = not copied.pending
    assert json.dumps(record.encode()) == before


AGREES, REFUSES = (ConsentFact(user_id="ana", at=AT, refused=refused) for refused in (False, True))
UNREADABLE = Uncounted("ana", AT, refused=True)


@pytest.mark.parametrize(
    ("facts", "refused"),
    [
        ([], False),
        ([AGREES], False),
        ([AGREES, REFUSES], True),
        ([UNREADABLE], True),
        ([UNREADABLE, AGREES], True),
    ],
)
def test_one_account_that_refuses_or_cannot_be_read_is_enough(
    facts: list[ConsentFact | Uncounted], refused: bool
) -> None:
    record = PersonRecord(accounts={str(number): account(fact) for number, fact in enumerate(facts)})
    assert record.refused is refused
