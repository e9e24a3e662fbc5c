"""The estimate of request charges against what the service publishes, and the account of them."""

from __future__ import annotations

from typing import Any

import pytest

from local.cosmos import charges
from local.cosmos.charges import ChargeBook
from local.cosmos.indexing import Index, checked_policy

KB = 1024


@pytest.mark.parametrize(
    ("charge", "published"),
    [
        (charges.read(KB), 1.0),
        (charges.read(100 * KB), 10.0),
        (charges.write(KB, 0), 5.0),
        (charges.write(100 * KB, 0), 50.0),
        (charges.delete(KB, 0), 5.0),
    ],
)
def test_published_figures(charge: float, published: float) -> None:
    assert charge == pytest.approx(published, rel=0.02)


def test_a_query_costs_a_floor_for_each_partition_and_then_what_it_loads() -> None:
    nothing = charges.query(1, 0, 0, 0)
    assert 2 <= nothing <= 3
    assert charges.query(4, 0, 0, 0) == pytest.approx(4 * nothing)
    assert charges.query(1, 100 * KB, KB, 100) > charges.query(1, KB, KB, 1) > nothing


@pytest.mark.parametrize(
    ("policy", "count"),
    [
        (None, 6),
        ({"indexingMode": "none"}, 0),
        ({"includedPaths": [{"path": "/*"}], "excludedPaths": [{"path": "/text/?"}, {"path": "/deep/*"}]}, 3),
        (
            {
                "includedPaths": [{"path": "/*"}, {"path": "/deep/a/?"}],
                "excludedPaths": [{"path": "/deep/*"}],
            },
            5,
        ),
        ({"includedPaths": [{"path": "/deep/*"}], "excludedPaths": [{"path": "/*"}]}, 2),
        ({"includedPaths": [{"path": "/ids/[]/?"}], "excludedPaths": [{"path": "/*"}]}, 2),
        ({"excludedPaths": [{"path": "/*"}]}, 0),
    ],
)
def test_terms_are_those_that_the_policy_includes(policy: dict[str, Any] | None, count: int) -> None:
    document = {"id": "a", "text": "x", "ids": [1, 2], "deep": {"a": 1, "b": None}, "_ts": 1, "_etag": "e"}
    index = Index.of(checked_policy(policy))
    assert index.count(document, index.terms(document)) == count


def test_an_account_for_each_client_container_and_operation_and_not_more_than_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(charges, "MOST_ACCOUNTS", 3)
    book = ChargeBook()
    for container in ("a", "b", "a", "c", "d", "e"):
        book.add("client", container, "read", units=1.25, received=10, sent=100)
    rows = {(row["client"], row["container"]): row for row in book.rows()}
    assert rows["client", "a"]["requests"] == 2
    assert rows["client", "a"]["request_units"] == 2.5
    assert rows["others", ""]["requests"] == 2
    assert sum(row["response_bytes"] for row in book.rows() if isinstance(row["response_bytes"], int)) == 600
