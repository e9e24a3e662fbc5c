"""Pages of queries, and the choice of an index: whatever is chosen, the results are those of a scan."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.cosmos import candidates, continuations
from local.cosmos import candidates as candidates_module
from local.cosmos import queries as queries_module
from local.cosmos.errors import ServiceError
from local.cosmos.items import Conditions, Items
from local.cosmos.model import Container
from local.cosmos.partitioning import WHOLE, Range, effective_key, point
from local.cosmos.queries import Page, Queries
from local.cosmos.resources import Resources
from local.cosmos.storage import Storage

NAMED = {
    "includedPaths": [{"path": path} for path in ("/kind/?", "/n/?", "/ids/[]/?")],
    "excludedPaths": [{"path": "/*"}],
}


class Database:
    """A container of each policy, with the same items."""

    def __init__(self, path: Path, partitions: int = 1) -> None:
        self.storage = Storage(path)
        self.queries = Queries(self.storage)
        resources = Resources(self.storage, partitions=partitions)
        resources.create_database({"id": "d"})
        self.named = self.make(resources, "named", NAMED)
        self.everything = self.make(resources, "everything", None)

    @staticmethod
    def make(resources: Resources, name: str, policy: dict[str, Any] | None) -> Container:
        key = {"paths": ["/pk"], "kind": "Hash"}
        return resources.create_container(
            "d", {"id": name, "partitionKey": key, "indexingPolicy": policy}, {}
        )

    def write(self, document: dict[str, Any]) -> None:
        for container in (self.named, self.everything):
            with self.storage.transaction():
                Items(self.storage).upsert(container, dict(document), None, Conditions())

    def delete(self, document: dict[str, Any]) -> None:
        for container in (self.named, self.everything):
            with self.storage.transaction():
                Items(self.storage).delete(container, document["id"], (document["pk"],), Conditions())

    def pages(
        self, container: Container, text: str, *, keys: Range = WHOLE, limit: int = 100, **parameters: Any
    ) -> list[Page]:
        given = {f"@{name}": value for name, value in parameters.items()}
        found: list[Page] = []
        continuation: str | None = None
        while continuation or not found:
            page = self.queries.execute(container, keys, text, given, limit=limit, continuation=continuation)
            continuation = page.continuation
            found.append(page)
        return found

    def results(self, container: Container, text: str, **options: Any) -> list[Any]:
        return [orjson.loads(r) for page in self.pages(container, text, **options) for r in page.results]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "file.sqlite3")
    yield made
    made.storage.close()


SCALARS = st.sampled_from([None, True, False, 0, 1, 2, 2.5, -1, "", "a", "b", "1"])
DOCUMENTS = st.fixed_dictionaries(
    {"id": st.sampled_from(["i1", "i2", "i3", "i4", "i5"]), "pk": st.sampled_from(["p", "q"])},
    optional={"kind": SCALARS, "n": SCALARS, "ids": st.lists(SCALARS, max_size=3) | SCALARS},
)
FILTERS = st.sampled_from(
    [
        "c.kind = @a",
        "c.kind IN (@a, @b)",
        "c.kind = @a AND c.n = @b",
        "c.kind = @a OR c.n = @b",
        "ARRAY_CONTAINS(c.ids, @a)",
        "c.kind = @a AND (ARRAY_CONTAINS(c.ids, @a) OR ARRAY_CONTAINS(c.ids, @b))",
        "c.n > @a",
        "c.n >= @a AND c.n < @b",
        "c.n BETWEEN @a AND @b",
        "NOT (c.kind = @a)",
        "c.id = 'i2' AND c.kind = @a",
        "c.id IN ('i1', 'i9') OR c.kind = @a",
        "c._ts >= 0 AND c.kind = @a",
        "c._ts < 5",
        "c.kind != @a",
    ]
)


@pytest.mark.parametrize(
    "where", ["c.id IN ('i1', 'i9') OR c.kind = @a", "c.kind = @a OR c.n = 7", "c.id = 'i7' OR c.id = 'i8'"]
)
def test_either_of_several_equalities_is_found_by_their_indexes(
    database: Database, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        database.write({"id": f"i{number}", "pk": "p", "kind": f"k{number}", "n": number})
    left: list[Iterable[int] | None] = []

    def recorded(*arguments: Any) -> Iterable[int] | None:
        left.append(candidates.narrowed(*arguments))
        return left[-1]

    monkeypatch.setattr(queries_module, "narrowed", recorded)
    found = database.results(database.named, f"SELECT VALUE c.id FROM c WHERE {where}", a="k3")  # noqa: S608
    assert found == database.results(database.everything, f"SELECT VALUE c.id FROM c WHERE {where}", a="k3")  # noqa: S608
    assert left[0] is not None
    assert len(list(left[0])) == len(found)


@settings(max_examples=150, deadline=None)
@given(
    writes=st.lists(st.tuples(DOCUMENTS, st.booleans()), max_size=14),
    where=FILTERS,
    a=SCALARS,
    b=SCALARS,
    key=st.sampled_from([None, "p"]),
)
def test_an_index_never_changes_a_result(
    writes: list[tuple[dict[str, Any], bool]], where: str, a: Any, b: Any, key: str | None
) -> None:
    """The container whose terms are kept against the one that is scanned, after any history of writes."""
    with tempfile.TemporaryDirectory() as directory:
        database = Database(Path(directory) / "file.sqlite3")
        stored: dict[tuple[str, str], dict[str, Any]] = {}
        for document, delete in writes:
            name = (document["pk"], document["id"])
            if delete and name in stored:
                database.delete(stored.pop(name))
            else:
                database.write(document)
                stored[name] = document
        keys = point(effective_key((key,), hierarchical=False)) if key else WHOLE
        text = f"SELECT c.pk, c.id, c.n FROM c WHERE {where}"  # noqa: S608
        sought = database.results(database.named, text, keys=keys, a=a, b=b)
        assert sought == database.results(database.everything, text, keys=keys, a=a, b=b)
        database.storage.close()


@pytest.mark.parametrize("count", [40, 60, 130])
def test_an_index_that_leaves_many_leaves_all(
    database: Database, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Below, between and above the numbers up to which indexes are compared."""
    monkeypatch.setattr(candidates_module, "FEW", 100)
    for n in range(150):
        document = {"id": f"i{n}", "pk": f"p{n % 2}", "kind": "a" if n < count else "b", "n": n % 149}
        database.write(document)
    for text in (
        "SELECT VALUE c.id FROM c WHERE c.kind = 'a'",
        "SELECT VALUE c.id FROM c WHERE c.kind = 'a' AND c.n >= 0",
        "SELECT VALUE c.id FROM c WHERE c.n >= 0 AND c.kind = 'a' AND c._ts > 0",
    ):
        assert len(database.results(database.named, text)) == count
        keys = point(effective_key(("p0",), hierarchical=False))
        assert len(database.results(database.named, text, keys=keys)) == count // 2


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
@pytest.mark.parametrize(
    "text",
    [
        "SELECT VALUE c.n FROM c",
        "SELECT VALUE i FROM c JOIN i IN c.ids",
        "SELECT VALUE c.n FROM c ORDER BY c.n DESC",
        "SELECT VALUE c.n FROM c WHERE c.kind = 'odd'",
        "SELECT DISTINCT VALUE c.kind FROM c",
        "SELECT c.kind, COUNT(1) AS count FROM c GROUP BY c.kind",
    ],
)
def test_pages_put_together_are_the_whole(database: Database, text: str, limit: int) -> None:
    for n in range(15):
        database.write({"id": f"i{n}", "pk": f"p{n}", "n": n, "kind": ("even", "odd")[n % 2], "ids": [n] * 3})
    whole = database.results(database.named, text, limit=1_000)
    pages = database.pages(database.named, text, limit=limit)
    assert [orjson.loads(result) for page in pages for result in page.results] == whole
    assert max(len(page.results) for page in pages) <= limit


def test_pages_of_a_sorted_query_do_not_depend_on_the_cache(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(10):
        database.write({"id": f"i{n}", "pk": "p", "n": -n})
    monkeypatch.setattr(continuations.ResultCache, "MOST_BYTES", 1)
    assert database.results(database.named, "SELECT VALUE c.n FROM c ORDER BY c.n", limit=3) == [
        *range(-9, 1)
    ]


def test_a_page_looks_at_so_many_items_and_goes_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries_module, "MAX_LOADED", 10)
    for n in range(35):
        database.write({"id": f"i{n}", "pk": f"p{n}", "text": n})
    text = "SELECT VALUE c.text FROM c WHERE c.text = 34"
    pages = database.pages(database.named, text)
    assert len(pages) >= 3
    assert sum(len(page.results) for page in pages) == 1


def test_a_continuation_of_another_query_is_refused(database: Database) -> None:
    for n in range(5):
        database.write({"id": f"i{n}", "pk": "p", "n": n})
    (first, *_) = database.pages(database.named, "SELECT * FROM c", limit=2)
    for text, continuation in (
        ("SELECT c.id FROM c", first.continuation),
        ("SELECT * FROM c", "bm9uc2Vuc2U="),
        ("SELECT * FROM c", "%"),
    ):
        with pytest.raises(ServiceError, match="continuation token"):
            database.queries.execute(database.named, WHOLE, text, {}, limit=2, continuation=continuation)


@pytest.mark.parametrize("text", ["SELECT * FROM c", "SELECT * FROM c ORDER BY c.n"])
def test_a_continuation_of_another_range_is_refused_and_that_of_a_parent_accepted(
    database: Database, text: str
) -> None:
    for n in range(20):
        database.write({"id": f"i{n}", "pk": f"p{n}", "n": n})
    low, high = Range("", "20"), Range("20", "FF")
    (first, *_) = database.pages(database.named, text, keys=low, limit=2)
    with pytest.raises(ServiceError, match="another range"):
        database.queries.execute(database.named, high, text, {}, limit=2, continuation=first.continuation)
    if "ORDER" not in text:
        whole = database.results(database.named, text)
        (first, *_) = database.pages(database.named, text, limit=2)
        rest = [
            orjson.loads(result)
            for part in (low, high)
            for result in database.queries.execute(
                database.named, part, text, {}, limit=99, continuation=first.continuation
            ).results
        ]
        assert rest == whole[2:]


def test_a_charge_does_not_depend_on_how_this_server_finds_its_results(database: Database) -> None:
    for n in range(200):
        database.write({"id": f"i{n}", "pk": "p", "kind": n % 100, "text": "x" * 1_000})
    text = "SELECT c.id FROM c WHERE c.kind = 7"
    scanned, sought = (
        sum(page.charge for page in database.pages(container, text))
        for container in (database.everything, database.named)
    )
    assert scanned == sought
    unindexed = "SELECT c.id FROM c WHERE c.text = 'y'"
    dear = sum(page.charge for page in database.pages(database.named, unindexed))
    assert dear > 3 * sought
