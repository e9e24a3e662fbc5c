"""What the file keeps: sequence numbers, terms, expiry, and who may open it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.cosmos import storage as storage_module
from local.cosmos.errors import ServiceError
from local.cosmos.items import Conditions, Items
from local.cosmos.model import Container, Item
from local.cosmos.partitioning import WHOLE, effective_key, even_partitions, point
from local.cosmos.resources import Resources
from local.cosmos.storage import NUMBER_BLOCK, Storage, StorageError

SOUGHT = {
    "includedPaths": [{"path": "/kind/?"}, {"path": "/ids/[]/?"}],
    "excludedPaths": [{"path": "/*"}],
}
ALWAYS = Conditions()
KEY = point(effective_key(("p",), hierarchical=False))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.sqlite3"


@pytest.fixture
def opened(path: Path) -> Iterator[Storage]:
    storage = Storage(path)
    yield storage
    storage.close()


def create(storage: Storage, **properties: Any) -> Container:
    resources = Resources(storage, partitions=3)
    if "d" not in storage.databases:
        resources.create_database({"id": "d"})
    body = {"id": "c", "partitionKey": {"paths": ["/pk"], "kind": "Hash"}, **properties}
    return resources.create_container("d", body, {})


def write(storage: Storage, container: Container, **document: Any) -> Item:
    with storage.transaction():
        written = Items(storage).upsert(container, {"pk": "p", **document}, None, ALWAYS)
    assert written.item is not None
    return written.item


def fail_in_transaction(storage: Storage, container: Container) -> None:
    with storage.transaction():
        Items(storage).upsert(container, {"id": "x", "pk": "p"}, None, ALWAYS)
        Items(storage).create(container, {"id": "x", "pk": "p"}, None, ALWAYS)


def ids(items: Iterator[Item]) -> list[str]:
    return [item.id for item in items]


def test_a_sequence_number_is_never_given_twice_even_if_a_rolled_back_write_set_some_aside(
    path: Path, opened: Storage
) -> None:
    container = create(opened)
    for n in range(NUMBER_BLOCK):
        write(opened, container, id=f"i{n}")
    # The first number of the next block is taken, and the block with it, in a transaction that fails.
    with pytest.raises(ServiceError):
        fail_in_transaction(opened, container)
    last = write(opened, container, id="last").lsn
    killed = Storage(path)  # what another process would find now
    try:
        same = killed.containers["d", "c"]
        assert write(killed, same, id="next").lsn > last
    finally:
        killed.close()


def test_no_reader_goes_on_behind_a_write_that_was_rolled_back(path: Path, opened: Storage) -> None:
    container = create(opened)
    for n in range(NUMBER_BLOCK):
        write(opened, container, id=f"i{n}")
    with pytest.raises(ServiceError):
        fail_in_transaction(opened, container)
    position = container.partition_of(KEY.low).lsn.value  # an empty page of the feed goes on from here
    killed = Storage(path)
    try:
        assert write(killed, killed.containers["d", "c"], id="next").lsn > position
    finally:
        killed.close()


def test_a_transaction_that_fails_leaves_nothing(opened: Storage) -> None:
    container = create(opened)
    with pytest.raises(ServiceError):
        fail_in_transaction(opened, container)
    assert write(opened, container, id="b").lsn == 1
    assert ids(opened.read.scan(container, WHOLE)) == ["b"]


@pytest.mark.parametrize(("old", "new"), [(1, True), (True, 1), (0, False), (None, "null"), ("1", 1)])
def test_values_that_python_takes_for_equal_are_different_terms(opened: Storage, old: Any, new: Any) -> None:
    container = create(opened, indexingPolicy=SOUGHT)
    write(opened, container, id="a", kind=old, ids=[old, new])
    write(opened, container, id="a", kind=new, ids=[old, new])
    assert not opened.read.with_terms(container, [("/kind/?", old)], 10)
    assert len(opened.read.with_terms(container, [("/kind/?", new)], 10)) == 1
    assert len(opened.read.with_terms(container, [("/ids/[]/?", old)], 10)) == 1


def test_an_integer_beyond_64_bits_is_stored(opened: Storage) -> None:
    container = create(opened, indexingPolicy=SOUGHT)
    write(opened, container, id="a", kind=2**64 - 1)
    assert len(opened.read.with_terms(container, [("/kind/?", 2**64 - 1)], 10)) == 1


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (2, None, {"2", "3.5"}),
        (None, 2, {"-1", "2"}),
        (0, 3, {"2"}),
        ("a", None, {"a", "b"}),
        (None, "a", {"", "a"}),
        ("0", "a", {"a"}),
    ],
)
def test_bounds_stay_within_a_type(opened: Storage, low: Any, high: Any, expected: set[str]) -> None:
    container = create(opened, indexingPolicy=SOUGHT)
    for value in (-1, 2, 3.5, "", "a", "b", True, None):
        write(opened, container, id=f"i{value!r}", kind=value)
    numbers = opened.read.with_value_between(container, "/kind/?", low, high, 100)
    found = {str(item.document()["kind"]) for item in opened.read.load(container, WHOLE, numbers)}
    assert found == expected


def test_terms_follow_a_new_policy(opened: Storage) -> None:
    container = create(opened)
    for n in range(5):
        write(opened, container, id=str(n), kind=n % 2)
    assert container.index.paths == ()
    resources = Resources(opened, partitions=3)
    container = resources.replace_container("d", "c", {"id": "c", "indexingPolicy": SOUGHT})
    assert len(opened.read.with_terms(container, [("/kind/?", 1)], 10)) == 2
    write(opened, container, id="1", kind=0)
    assert len(opened.read.with_terms(container, [("/kind/?", 1)], 10)) == 1


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(storage_module.time, "time", clock)  # the module that every reader of time shares
    return clock


def test_expiry_follows_the_container_and_the_item(opened: Storage, clock: Clock) -> None:
    container = create(opened, defaultTtl=100)
    write(opened, container, id="default")
    write(opened, container, id="own", ttl=10)
    write(opened, container, id="never", ttl=-1)
    remaining: Callable[[], list[str]] = lambda: ids(opened.read.scan(container, WHOLE))  # noqa: E731
    assert remaining() == ["default", "never", "own"]
    clock.now += 10
    assert remaining() == ["default", "never"]
    assert opened.purge_expired() == 1
    clock.now += 90
    assert remaining() == ["never"]
    write(opened, container, id="default")
    assert remaining() == ["default", "never"]


def test_a_changed_default_applies_to_what_is_there(opened: Storage, clock: Clock) -> None:
    container = create(opened)
    write(opened, container, id="a")
    write(opened, container, id="b", ttl=1_000)
    resources = Resources(opened, partitions=3)
    clock.now += 50
    assert ids(opened.read.scan(container, WHOLE)) == ["a", "b"]
    container = resources.replace_container("d", "c", {"id": "c", "defaultTtl": 60})
    clock.now += 10
    assert ids(opened.read.scan(container, WHOLE)) == ["b"]
    container = resources.replace_container("d", "c", {"id": "c"})
    assert ids(opened.read.scan(container, WHOLE)) == ["a", "b"]  # it was not purged yet


def test_the_time_of_writes_never_runs_backwards_and_finds_them(opened: Storage, clock: Clock) -> None:
    container = create(opened)
    start = int(clock.now)
    for n in range(40):
        clock.now = start + n // 4 * 10 - (15 if n == 20 else 0)
        write(opened, container, id=f"i{n:02}")
    partition = container.partition_of(KEY.low)

    def first_at(second: int) -> int:
        return opened.read.first_lsn_at(container, partition, second)

    assert first_at(start) == 1
    assert first_at(start + 11) == 9
    assert first_at(start + 10_000) == partition.lsn.value + 1
    written = opened.read.written_between(container, start + 20, start + 30, 100)
    assert len(written) == 8
    assert first_at(start + 50) == 22  # the 21st bears the time of the 20th


def test_the_feed_of_one_logical_partition_has_the_order_of_writes(opened: Storage) -> None:
    container = create(opened)
    for n in range(12):
        write(opened, container, id=f"i{11 - n}", pk=f"p{n % 2}")
    keys = point(effective_key(("p0",), hierarchical=False))
    partition = container.partition_of(keys.low)
    everything = list(opened.read.feed(container, partition, keys, after=0))
    assert [item.id for item in everything] == ["i11", "i9", "i7", "i5", "i3", "i1"]
    assert ids(opened.read.feed(container, partition, keys, after=everything[3].lsn)) == ["i3", "i1"]


def test_each_physical_partition_counts_its_own_writes(opened: Storage) -> None:
    container = create(opened)
    for n in range(60):
        write(opened, container, id=f"i{n}", pk=f"p{n}")
    for partition in container.partitions:
        lsns = [item.lsn for item in opened.read.feed(container, partition, WHOLE, after=0)]
        assert lsns == list(range(1, len(lsns) + 1))
        assert partition.lsn.value == len(lsns) > 0


def test_the_halves_of_a_partition_go_on_with_its_numbers(path: Path, opened: Storage) -> None:
    container = create(opened)
    for n in range(60):
        write(opened, container, id=f"i{n}", pk=f"p{n}")
    parent = container.partitions[1]
    before = list(opened.read.feed(container, parent, WHOLE, after=0))
    low, high = opened.split(container, parent)
    assert (low.id, high.id, low.parents, high.parents) == ("3", "4", ("1",), ("1",))
    assert [p.id for p in container.partitions] == ["0", "3", "4", "2"]
    found = [list(opened.read.feed(container, half, WHOLE, after=0)) for half in (low, high)]
    assert all(found)
    assert sorted(found[0] + found[1], key=lambda item: item.lsn) == before
    for n in range(60):
        write(opened, container, id=f"i{n}", pk=f"p{n}")
    killed = Storage(path)  # what another process would find now
    try:
        again = killed.containers["d", "c"]
        assert [(p.id, p.range, p.parents) for p in again.partitions] == [
            (p.id, p.range, p.parents) for p in container.partitions
        ]
        for half in (again.partitions[1], again.partitions[2]):
            lsns = [item.lsn for item in killed.read.feed(again, half, WHOLE, after=0)]
            assert min(lsns) == before[-1].lsn + 1  # all were written after the split
            assert lsns == sorted(set(lsns))
    finally:
        killed.close()


def test_ids_of_physical_partitions_are_never_given_twice(opened: Storage) -> None:
    container = create(opened)
    seen = {partition.id for partition in container.partitions}
    for _ in range(5):
        halves = {half.id for half in opened.split(container, container.partitions[0])}
        assert not halves & seen
        seen |= halves


UNIQUE = {"uniqueKeyPolicy": {"uniqueKeys": [{"paths": ["/email"]}, {"paths": ["/a/b", "/c"]}]}}


def refused(storage: Storage, container: Container, **document: Any) -> bool:
    before = ids(storage.read.scan(container, WHOLE))
    try:
        write(storage, container, **document)
    except ServiceError as error:
        failure = error
    else:
        return False
    assert (failure.status, failure.message) == (409, "Unique index constraint violation.")
    assert ids(storage.read.scan(container, WHOLE)) == before
    return True


def test_a_unique_key_holds_within_a_logical_partition(opened: Storage) -> None:
    container = unique_container(opened)
    assert not refused(opened, container, id="1", email="x", a={"b": 1}, c=1)
    assert refused(opened, container, id="2", email="x", a={"b": 2})
    assert refused(opened, container, id="2", email="y", a={"b": 1.0}, c=1)
    assert not refused(opened, container, id="2", email="x", pk="other")
    assert not refused(opened, container, id="2", email="y", a={"b": 1}, c=2)
    assert refused(opened, container, id="2", email="x", a={"b": 1}, c=2)  # an update as well
    assert not refused(opened, container, id="1", email="z", a={"b": 1}, c=1)  # its own keys do not matter
    assert not refused(opened, container, id="2", email="x", a={"b": 1}, c=2)  # x was given back


def test_at_most_one_item_of_a_logical_partition_lacks_a_unique_path(opened: Storage) -> None:
    container = unique_container(opened)
    assert not refused(opened, container, id="1", c=1)
    assert refused(opened, container, id="2", email=None, c=2)


def test_a_unique_key_is_free_again_when_its_holder_is_gone(opened: Storage, clock: Clock) -> None:
    container = unique_container(opened, defaultTtl=-1)
    write(opened, container, id="1", email="x", c=1, ttl=10)
    assert refused(opened, container, id="2", email="x", c=2)
    clock.now += 10  # expired, and not purged yet
    assert not refused(opened, container, id="2", email="x", c=2)
    with opened.transaction():
        Items(opened).delete(container, "2", ("p",), ALWAYS)
    assert not refused(opened, container, id="3", email="x", c=2)


def unique_container(storage: Storage, **properties: Any) -> Container:
    container = create(storage, **properties)
    return storage.replace_container(container, {**container.body, **UNIQUE})


def test_a_file_of_another_format_is_refused_in_one_sentence(path: Path) -> None:
    Storage(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 1")
    db.close()
    with pytest.raises(StorageError, match="has format 1, this version of the local server reads"):
        Storage(path)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_partitions_cover_every_key_once(count: int) -> None:
    partitions = even_partitions(count)
    for key in ("", "00", "3FFF", "1555", *(effective_key((n,), hierarchical=False) for n in range(200))):
        assert sum(partition.range.holds(key) for partition in partitions) == 1


@pytest.mark.parametrize("killed", [False, True])
def test_what_was_deleted_is_in_no_file_after_the_next_start(
    path: Path, tmp_path: Path, killed: bool
) -> None:
    """A process that is killed leaves its write-ahead log behind."""
    storage = Storage(path)
    container = create(storage, indexingPolicy=SOUGHT)
    for number in range(300):
        write(storage, container, id=f"kept{number}", text="x" * 900, kind="k")
        write(
            storage, container, id=f"secret{number}", text="hidden words " * 200, kind=f"hidden kind {number}"
        )
    for number in range(300):
        write(storage, container, id=f"kept{number}", text="y" * 400)
        with storage.transaction():
            Items(storage).delete(container, f"secret{number}", ("p",), ALWAYS)
    left = tmp_path / "after"
    left.mkdir()
    if not killed:
        storage.close()
    for file in path.parent.glob(f"{path.name}*"):
        (left / file.name).write_bytes(file.read_bytes())
    again = Storage(left / path.name)
    for file in left.iterdir():
        content = file.read_bytes()
        assert b"hidden" not in content
        assert b"secret" not in content
    assert b"kept7" in (left / path.name).read_bytes()
    again.close()
    if killed:
        storage.close()
