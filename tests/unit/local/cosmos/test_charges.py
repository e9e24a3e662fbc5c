"""The estimate of request charges against what the service publishes, and the account of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.cosmos import charges
from local.cosmos.charges import ChargeBook
from local.cosmos.indexing import Index, checked_policy

KB = 1024
ROOT = Path(__file__).parents[4]


def _indexed(properties: int) -> float:
    """The charge of a create of a small item under the default indexing policy."""
    document = {"id": "i", **{f"p{n}": "text" for n in range(properties - 1)}}
    index = Index.of(checked_policy(None))
    return charges.write(500, index.count(document, index.terms(document)))


@dataclass(frozen=True, slots=True)
class Example:
    """What the service publishes about a request, as a row of docs/request-charges.md."""

    what: str
    published: float
    estimated: float
    within: float = 0.1
    """Share by which the estimate may differ; 1 for what the model leaves out."""

    @property
    def row(self) -> str:
        difference = self.estimated / self.published - 1
        return f"| {self.what} | {self.published:,.2f} | {self.estimated:,.2f} | {difference:+.0%} |"


EXAMPLES = [
    Example("point read, 1 KB", 1, charges.read(KB)),
    Example("point read, 100 KB", 10, charges.read(100 * KB)),
    Example("write, 1 KB, nothing indexed", 5, charges.write(KB, 0)),
    Example("write, 1 KB, nothing indexed (newer page)", 5.5, charges.write(KB, 0)),
    Example("write, 100 KB, nothing indexed", 50, charges.write(100 * KB, 0)),
    Example("replace, 1 KB, nothing indexed", 11, charges.write(KB, 0, replaces=True)),
    Example("create a user: 2 properties, all indexed", 5.71, _indexed(2)),
    Example("create a like: 5 properties, all indexed", 7.05, _indexed(5)),
    Example("create a comment: 6 properties, all indexed", 8.57, _indexed(6)),
    Example("create a post: 7 properties, all indexed", 8.76, _indexed(7)),
    Example("query by index, 1 item of 9,963 bytes", 3.19, charges.query(1, 9_963, 10_012, 1)),
    Example(
        "query without index, 60,951 items of 400 MB loaded, 7 strings returned",
        4_059.95,
        charges.query(1, 399_998_938, 510, 60_951),
    ),
    Example(
        "query, the 100 posts of one partition (1 KB assumed)", 16.97, charges.query(1, 102_400, 102_400, 100)
    ),
    Example("query, 1,000 items of 1 KB", 1_000, charges.query(1, 1_024_000, 1_024_000, 1_000), 1),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.what)
def test_the_estimate_is_close_to_what_is_published(example: Example) -> None:
    assert example.estimated == pytest.approx(example.published, rel=example.within)


def test_the_page_shows_published_and_estimated_side_by_side() -> None:
    page = (ROOT / "docs" / "request-charges.md").read_text()
    shown = [line for line in page.splitlines() if line.endswith("% |")]
    assert shown == [example.row for example in EXAMPLES]


def test_a_replacement_costs_two_creates_and_a_delete_one() -> None:
    assert charges.write(3 * KB, 4, replaces=True) == 2 * charges.write(3 * KB, 4)
    assert charges.delete(3 * KB, 4) == charges.write(3 * KB, 4)


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
