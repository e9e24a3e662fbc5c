"""No query holds the server: what computes for too long is refused or paged, wherever it spends its time."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.cosmos import deadline
from local.cosmos import queries as queries_module
from local.cosmos.deadline import DeadlineError, bounded
from local.cosmos.errors import ServiceError
from local.cosmos.items import Conditions, Items
from local.cosmos.partitioning import WHOLE
from local.cosmos.patch import patch_item
from local.cosmos.query import compile_query
from local.cosmos.query.operators import like_pattern
from local.cosmos.resources import Resources
from local.cosmos.storage import Storage

# Python swallows what is raised in a callback of its garbage collector, and warns. The timer strikes again.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

LIMIT = 0.2
PATIENCE = 5.0
"""Seconds in which anything with a limit of 0.2 s has ended; what has none takes minutes or years."""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_query("SELECT VALUE COUNT(1) FROM c WHERE c.n > 1")  # the first one prepares the grammar
    monkeypatch.setattr(deadline, "COMPUTING_SECONDS", LIMIT)
    monkeypatch.setattr(queries_module, "PAGE_SECONDS", LIMIT / 40)


class Server:
    """A container with items, and queries over it."""

    def __init__(self, folder: Path) -> None:
        self.storage = Storage(folder / "cosmos.sqlite3")
        self.queries = queries_module.Queries(self.storage)
        resources = Resources(self.storage, partitions=1)
        resources.create_database({"id": "d"})
        self.container = resources.create_container(
            "d", {"id": "c", "partitionKey": {"paths": ["/pk"], "kind": "Hash"}}, {}
        )
        with self.storage.transaction():
            for n in range(200):
                item = {"id": f"{n:03}", "pk": "p", "n": n, "text": "a" * 60, "list": list(range(30))}
                Items(self.storage).create(self.container, item, None, Conditions())

    def page(self, text: str, continuation: str | None = None) -> queries_module.Page:
        return self.queries.execute(self.container, WHOLE, text, {}, limit=1_000, continuation=continuation)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.storage.close()


def spin() -> None:
    while True:
        pass


def swallow() -> None:
    while True:
        try:
            spin()
        except Exception:  # noqa: BLE001, S112  the point: no handler of errors may keep it going
            continue


@pytest.mark.parametrize("work", [spin, swallow])
def test_what_does_not_end_is_interrupted(work: Callable[[], None]) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineError, match=r"more than 0\.2 s"):
        bounded(work)
    assert time.monotonic() - began < PATIENCE


def test_what_ends_in_time_is_returned_and_nothing_is_left_of_the_timer() -> None:
    assert bounded(lambda: bounded(lambda: 7)) == 7
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    until = time.process_time() + 2 * LIMIT
    while time.process_time() < until:
        pass  # a timer that was left would strike here


def test_the_outermost_deadline_counts() -> None:
    with pytest.raises(DeadlineError):
        bounded(lambda: [bounded(lambda: sum(range(10_000))) for _ in iter(int, 1)])


def test_other_threads_are_left_alone() -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(bounded(lambda: 7)))
    thread.start()
    thread.join()
    assert found == [7]


MANY = " JOIN ".join(f"{name} IN c.list" for name in "abdefg")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT VALUE c.id FROM c WHERE REGEXMATCH(c.text, '(a+)+$b')",
        "SELECT VALUE c.id FROM c WHERE REGEXMATCH(c.text, '^(a|aa)+$b')",
        "SELECT VALUE COUNT(1) FROM c WHERE REGEXMATCH(c.text, '(.*)*b')",
        "SELECT c.id FROM c WHERE REGEXMATCH(c.text, '(a+)+$b') ORDER BY c.n",
        f"SELECT VALUE a FROM c JOIN {MANY}",  # noqa: S608
        f"SELECT VALUE ARRAY_LENGTH(ARRAY(SELECT VALUE a FROM {MANY})) FROM c",  # noqa: S608
        f"SELECT VALUE REGEXMATCH('{'a' * 60}', '(a+)+$b')",
        "SELECT c.id FROM c WHERE " + " OR ".join(f"(c.n > {n} AND c.n < {n})" for n in range(8_000)),  # noqa: S608
    ],
    ids=[
        "nested",
        "alternatives",
        "counted",
        "sorted",
        "joined",
        "inner",
        "without a source",
        "long to compile",
    ],
)
def test_a_query_that_computes_for_too_long_is_refused_and_the_next_one_is_served(
    server: Server, query: str
) -> None:
    began = time.monotonic()
    with pytest.raises(ServiceError, match="computes for more than") as refused:
        server.page(query)
    assert refused.value.status == 400
    assert time.monotonic() - began < PATIENCE
    assert server.page("SELECT VALUE COUNT(1) FROM c").results == [b"200"]


def test_a_long_filter_gets_short_pages_and_all_of_its_results(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "COMPUTING_SECONDS", PATIENCE)  # compiling takes 0.2 s
    ors = " OR ".join(f"STARTSWITH(c.text, 'x{n}')" for n in range(400))
    text = f"SELECT VALUE c.n FROM c WHERE c.n >= 100 AND NOT ({ors})"  # noqa: S608
    found: list[bytes] = []
    pages, continuation = 0, None
    while pages == 0 or continuation is not None:
        page = server.page(text, continuation)
        found += page.results
        continuation = page.continuation
        pages += 1
    assert found == [b"%d" % n for n in range(100, 200)]
    assert pages > 1


def test_the_condition_of_a_patch_has_a_deadline_and_its_transaction_leaves_nothing(server: Server) -> None:
    items = Items(server.storage)
    body = {
        "condition": "FROM c WHERE REGEXMATCH(c.text, '(a+)+$b')",
        "operations": [{"op": "set", "path": "/n", "value": -1}],
    }
    with pytest.raises(ServiceError, match="computes for more than"), server.storage.transaction():
        patch_item(items, server.container, "001", body, ("p",), Conditions())
    assert server.page("SELECT VALUE c.n FROM c WHERE c.id = '001'").results == [b"1"]


# LIKE needs no deadline: its time grows with text and pattern, and with nothing else.


def like(text: str, pattern: str) -> bool:
    """LIKE by its definition: which prefixes of the pattern match which prefixes of the text."""
    reached = [True] + [False] * len(text)
    for character in pattern:
        if character == "%":
            for n in range(len(text)):
                reached[n + 1] = reached[n + 1] or reached[n]
        else:
            matches = [False] + [character in ("_", letter) for letter in text]
            reached = [False] + [reached[n] and matches[n + 1] for n in range(len(text))]
    return reached[-1]


@settings(max_examples=500)
@given(st.text("ab\n", max_size=12), st.text("ab_%\n", max_size=10))
def test_like_matches_what_its_definition_says(text: str, pattern: str) -> None:
    found = like_pattern(pattern, "").fullmatch(text) is not None
    assert found is like(text, pattern)


@given(st.lists(st.sampled_from(["%a", "%_", "a%", "%aa%", "_%", "%%"]), min_size=20, max_size=40))
@settings(deadline=None)
def test_like_takes_no_longer_for_many_wildcards(parts: list[str]) -> None:
    began = time.thread_time()
    assert like_pattern("".join(parts) + "b", "").fullmatch("a" * 2_000) is None
    assert time.thread_time() - began < 1


HUGE: list[Any] = [1e308, -1e308, 1.7e308, 2**63 - 1, -(2**63), 5e-324, 0, 0.5]


@given(
    st.lists(st.sampled_from(HUGE), max_size=2_500), st.sampled_from(["SUM", "AVG", "MIN", "MAX", "COUNT"])
)
@settings(max_examples=60, deadline=None)
def test_an_aggregate_beyond_a_double_is_undefined_and_never_an_error(values: list[Any], name: str) -> None:
    query = compile_query(f"SELECT VALUE {name}(c.v) FROM c")  # noqa: S608
    for found in query.run([{"v": value} for value in values], {}):
        assert isinstance(found, int | float)
        assert abs(found) <= 1.7e308


def test_a_sum_beyond_a_double_is_undefined() -> None:
    query = compile_query("SELECT VALUE [SUM(c.v)] FROM c")
    assert query.run([{"v": 1e308}] * 2, {}) == [[]]
    assert query.run([{"v": 1e308}, {"v": 2**63 - 1}] * 1_500, {}) == [[]]
    assert query.run([{"v": 1e307}] * 2, {}) == [[2e307]]
