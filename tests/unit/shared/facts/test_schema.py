"""The number of a fact's schema changes with its fields."""

from __future__ import annotations

import pytest

from shared.facts import FACT_SCHEMA, FACTS
from shared.units import hash_key
from shared.views import VIEWS

HASHES = {
    ("user_interactions", 1): "sJuua8JK07w",
    ("user_interactions", 2): "Fjm7TpJjOQk",
    ("user_interactions", 3): "TYVOouT7sKA",
    ("user_interactions", 4): "I-Bbz1RYfEU",
    ("user_sessions", 1): "SST0fkK9WiI",
    ("user_sessions", 2): "P_FY9W5o32U",
    ("user_sessions", 3): "fvH55ZgKZjc",
    ("abuse_incidents", 1): "rWj7he4og8Y",
    ("abuse_incidents", 2): "xtJSKHDX_Mc",
    ("users", 1): "DhKBySeqvyQ",
    ("users", 2): "bFQE9kJun0I",
    ("users", 3): "bFQE9kJun0I",
}
"""A hash of the names of the stored fields of each schema, of each source. Add a line; never change one."""


@pytest.mark.parametrize("source", FACTS)
def test_a_fact_with_other_fields_has_another_schema(source: str) -> None:
    fields = " ".join(sorted(f"{name}={short}" for name, short in FACTS[source].STORED_KEYS.items()))
    assert hash_key(fields) == HASHES[source, FACT_SCHEMA[source]], "raise FACT_SCHEMA and add a line"


def test_every_source_has_a_schema() -> None:
    assert FACT_SCHEMA.keys() == FACTS.keys()


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_needs_only_facts_that_there_are(name: str) -> None:
    view = VIEWS[name]
    assert view.facts.keys() <= view.sources
    assert all(1 < schema <= FACT_SCHEMA[source] for source, schema in view.facts.items())
