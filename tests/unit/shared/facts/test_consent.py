"""Facts of accounts: consent, and preferences that never cost it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents.users import parse_user
from shared.facts import consent_fact

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def account(**fields: Any) -> dict[str, Any]:
    return {"id": "u", "user_id": "ann", "privacy_settings": {"analytics_consent": True}, **fields}


@given(
    fields=st.fixed_dictionaries(
        {},
        optional={
            "timezone": ANY,
            "subscription_tier": ANY,
            "content_preferences": ANY | st.fixed_dictionaries({"citation_style": ANY}),
        },
    )
)
def test_whatever_an_account_prefers_its_consent_can_be_read(fields: dict[str, Any]) -> None:
    fact = consent_fact(parse_user(account(**fields)))
    assert not fact.refused
    assert all(len(value or "") <= 98 for value in (fact.zone, fact.citation_style, fact.subscription))


def test_preferences_are_read() -> None:
    fact = consent_fact(
        parse_user(
            account(
                timezone="America/Argentina/Buenos_Aires",
                subscription_tier="premium",
                content_preferences={"citation_style": "detailed"},
            )
        )
    )
    assert fact.zone == "America/Argentina/Buenos_Aires"
    assert (fact.subscription, fact.citation_style) == ("premium", "detailed")


@pytest.mark.parametrize(
    ("analytics", "collection", "refused"),
    [(True, None, False), (None, True, False), (True, False, True), (None, False, True), (False, True, True)],
)
def test_whoever_refuses_the_collection_of_data_refuses_analytics(
    analytics: bool | None, collection: bool | None, refused: bool
) -> None:
    privacy = {"analytics_consent": analytics, "data_collection_consent": collection}
    assert consent_fact(parse_user(account(privacy_settings=privacy))).refused is refused
