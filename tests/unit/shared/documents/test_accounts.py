"""Accounts of every shape: whose they are, and whether the person refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.documents.users import account_key, owner_of
from shared.errors import DocumentError
from shared.facts import USERS
from shared.ingest.sources import SOURCES
from shared.ledger.accounts import new_record
from shared.ledger.changes import Change
from shared.pricing.table import PriceTable, list_prices
from tests.independent import input as independent
from tests.unit.shared.world import World, interaction

Document = dict[str, Any]

PRICES = PriceTable(list_prices())
SOURCE = SOURCES[USERS]

answers = st.sampled_from([True, False, None, "false", 0, [], "no"])
settings_blocks = st.one_of(
    st.none(),
    st.sampled_from(["none", [], 0, {}]),
    st.dictionaries(
        st.sampled_from([*independent.CONSENTS, "marketing_consent", "analytics"]), answers, max_size=4
    ),
)
identities = st.sampled_from(["ann", None, "", 5, "a" * 300, "\ud800", ["ann"]])

accounts = st.fixed_dictionaries(
    {"id": st.sampled_from(["ann", "user_ann", "user_" + "a" * 300, "\ud800"])},
    optional={
        "user_id": identities,
        "partition_key": identities,
        "document_type": st.just("user_profile"),
        "privacy_settings": settings_blocks,
        "analytics_consent": answers,
        "data_collection_consent": answers,
        "data_retention_consent": answers,
        "marketing_consent": answers,
        "account_status": st.sampled_from(
            ["active", "suspended", "deleted", "Deleted ", "closed", "", None, 3, ["deleted"]]
        ),
        "created_at": st.sampled_from(["2025-07-01T00:00:00.000001", "yesterday", "2025-W32", None, 7]),
        "profile_version": st.sampled_from(["0.1", "1.0", "1.1", "1.12", "2.0", "0.9", "new", 1.0, None]),
        "schema_version": st.sampled_from(["1.0", "1.3", "3.0", None]),
        "preferences": st.just({"theme": "dark"}),
    },
)


def change_of(account: Document) -> Change | None:
    """Return what ingest folds for an account, whether or not it can be read."""
    try:
        return SOURCE.to_change(account, PRICES, False)
    except DocumentError as error:
        return SOURCE.to_uncounted(account, error, False)


@settings(max_examples=1_000, deadline=None)
@given(accounts)
def test_an_account_counts_for_its_owner_and_refuses_unless_it_says_otherwise(account: Document) -> None:
    change = change_of(account)
    if change is None:
        assert owner_of(account) is None
        return
    fact: Any = change.fact
    assert change.user_id == independent.owner_of(account)
    assert fact.refused is independent.refuses(account)
    record = new_record(change.user_id, [account])
    assert list(record.accounts) == [change.document_id] == [account_key(account)]
    assert record.refused is fact.refused


@settings(max_examples=300, deadline=None)
@given(accounts)
def test_every_shape_with_a_usable_identity_has_an_owner(account: Document) -> None:
    names = ("user_id", "partition_key", "id")
    usable = any(account.get(name) in ("ann", "user_ann") for name in names)
    assert owner_of(account) == ("ann" if usable else None)


@pytest.mark.parametrize("error", [RecursionError(), ValueError("ours")])
def test_an_error_of_the_reader_refuses_too(error: Exception) -> None:
    change = SOURCE.to_uncounted({"id": "user_ann", "user_id": "ann"}, error, False)
    assert change is not None
    assert (change.user_id, change.fact) == ("ann", change.fact)
    assert getattr(change.fact, "refused", False)


OF_0_1: Document = {
    "id": "11111111-aaaa-4000-8000-000000000001",
    "partition_key": "11111111-aaaa-4000-8000-000000000001",
    "auth_id": "x",
    "email": "a@example.com",
    "name": "N",
    "document_type": "user_profile",
    "account_status": "active",
    "created_at": "2025-07-01T00:00:00.000001",
    "data_retention_consent": True,
    "analytics_consent": False,
    "last_consent_update": "2025-07-20T08:20:21",
}
"""An account from before there were versions, whose owner refuses."""


@pytest.mark.parametrize("account_first", [True, False])
@pytest.mark.parametrize(
    ("change", "is_published"),
    [
        ({}, False),
        ({"analytics_consent": True}, True),
        ({"analytics_consent": None}, True),
        ({"analytics_consent": True, "account_status": "deleted"}, False),
        ({"analytics_consent": True, "data_retention_consent": False}, False),
        ({"analytics_consent": True, "privacy_settings": {"data_collection_consent": False}}, False),
        ({"analytics_consent": "yes"}, False),
    ],
)
async def test_nothing_is_published_about_the_owner_of_an_older_account_who_refuses(
    change: Document, is_published: bool, account_first: bool
) -> None:
    world, owner = World(), OF_0_1["id"]
    if account_first:
        await world.ingest(OF_0_1 | change, source=USERS)
    await world.ingest(interaction(1, "2025-08-05T10:00:00Z", owner))
    await world.publish()
    if not account_first:
        await world.ingest(OF_0_1 | change, source=USERS)
        await world.publish()
    assert bool(world.documents("user_analytics")) is is_published
    assert world.documents("daily_metrics")["daily_metrics_20250805"]["usage_statistics"]["active_users"] == 1
