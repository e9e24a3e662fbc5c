"""What is stored in view_state is a ledger page or a partial, and nothing else is taken for one."""

from __future__ import annotations

from typing import Any

import pytest

from shared.aggregates.base import PartialKey
from shared.facts import USER_INTERACTIONS
from shared.ledger.pages import Page
from shared.ledger.partials import Partial
from shared.ledger.shards import ShardId
from shared.ledger.state import decode_state
from shared.units import EventHour
from tests.unit.shared.ledger.memory_shard import counted

SHARD = ShardId("1:0000")
SYSTEM = {"_etag": '"1"', "_ts": 5, "_rid": "x"}


@pytest.mark.parametrize(
    "document",
    [
        Page(SHARD, USER_INTERACTIONS, EventHour("2025-08-05T10"), 1, 1, 7),
        Partial(SHARD, PartialKey("day", "2025-08-05"), 3, counted("interactions", 2)),
    ],
    ids=["page", "partial"],
)
def test_a_page_and_a_partial_are_read_by_their_kind(document: Page | Partial) -> None:
    assert decode_state(document.encode() | SYSTEM) == document


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"id": "usage|1", "kind": "usage"}, "view_state document 'usage|1' is of unknown kind 'usage'"),
        ({"id": "x"}, "view_state document 'x' is of unknown kind None"),
    ],
)
def test_a_document_of_another_kind_is_an_error_that_names_it(stored: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="unknown kind") as error:
        decode_state(stored)
    assert str(error.value) == message
