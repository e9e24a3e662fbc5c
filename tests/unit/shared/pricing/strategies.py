"""Generated price tables, and names as documents write them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from shared.pricing.names import NameRules
from shared.pricing.table import ModelPrice, PriceTable, parse_price
from shared.pricing.tokens import Tokens

MODELS = ("unknown", "m-1.5", "m-1.5-001", "m-1.5-preview-05-20", "n", "n-latest", "proxy/n", "o")
"""Models of generated tables, some of them versions of others."""

WRITTEN = (
    *MODELS,
    "M_1.5",
    "google/m-1.5-002",
    "models/n",
    "google/google/n-001",
    "p",
    "google/p",
    "alias",
    "o-003",
)
"""Names that documents write."""

PREFIXES = frozenset({"google"})
VERSIONS = (r"-\d{3}", "-latest", r"-preview-\d{2}-\d{2}")

_PRICES = st.integers(0, 9_000)
_DATES = st.sampled_from(["1970-01-01", "2025-03-01", "2025-08-05T12:00:00Z", "2025-08-06", "2026-01-01"])


def _tier(limit: int | None) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "up_to_input_tokens": st.just(limit),
            "input_nano_usd_per_token": _PRICES,
            "output_nano_usd_per_token": _PRICES,
            "cached_nano_usd_per_token": st.none() | _PRICES,
            "cache_write_nano_usd_per_token": st.none() | _PRICES,
            "thinking_output_nano_usd_per_token": st.none() | _PRICES,
        }
    )


TIERS = st.one_of(
    _tier(None).map(lambda tier: [tier]),
    st.tuples(_tier(100), _tier(None)).map(list),
    st.tuples(_tier(10), _tier(200), _tier(None)).map(list),
)


def prices(model: str | None = None) -> st.SearchStrategy[ModelPrice]:
    """Return prices of a model, or of any of :data:`MODELS`."""
    models = st.sampled_from(MODELS) if model is None else st.just(model)
    return st.builds(
        lambda model, since, tiers: parse_price({"model": model, "effective_from": since, "tiers": tiers}),
        models,
        _DATES,
        TIERS,
    )


def tables() -> st.SearchStrategy[PriceTable]:
    """Return price tables with tiers, dates, overrides, versions, prefixes and aliases."""
    aliases = st.dictionaries(
        st.sampled_from(["alias", "p", "m-1-5-001"]),
        st.sampled_from(["n", "m-1-5", "o", "unknown"]),
        max_size=3,
    )
    names = aliases.map(lambda known: NameRules(PREFIXES, VERSIONS, known))
    return st.builds(PriceTable, st.lists(prices(), max_size=8), names)


COUNTS = st.integers(0, 300)
TOKENS = st.builds(Tokens, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
