"""A migration reaches every document once, whatever is killed, edited or split meanwhile.

It runs on the real database server through the real SDK, in this process.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any
from unittest.mock import patch

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, DatabaseProxy
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.containers import DAY, container
from shared.cosmos import retries
from shared.cosmos.change_feed import FeedRange
from shared.documents.versions import HISTORIES
from shared.errors import MigrationError
from shared.maintenance import migrate
from shared.maintenance.cursors import Cursor, Cursors
from shared.maintenance.migrate import MigrationReport, Migrator
from shared.maintenance.migrate_document import DOCUMENT_TYPES
from shared.maintenance.migrate_walk import MigrationWalk, Tally
from shared.pricing.price_book import PriceBook
from tests.cosmos_in_process import InProcessCosmos
from tests.fake_clock import FakeClock
from tests.fakes import Killed
from tests.unit.shared.documents.test_versions import FLAT, NESTED, TODAY

Document = dict[str, Any]

BEGAN = 1_754_380_000
SHAPES = [NESTED, FLAT, TODAY, TODAY | {"schema_version": "1.1"}, FLAT | {"feedback_rating": 9}]
UNREADABLE = 4
NAME = "user_interactions"


class Service:
    """A database of some containers, with a clock, and migrators on it."""

    def __init__(self, cosmos: InProcessCosmos, database: DatabaseProxy) -> None:
        self.cosmos = cosmos
        self.database = database
        self.now = float(BEGAN)
        self.slept = 0.0
        self.connections: list[DatabaseProxy] = []

    def container(self, name: str = NAME) -> ContainerProxy:
        return self.database.get_container_client(name)

    async def write(self, *documents: Document, to: str = NAME) -> None:
        for document in documents:
            await self.container(to).upsert_item(own(document))

    def stored(self, name: str = NAME) -> dict[tuple[Any, str], Document]:
        key = container(name).partition_key.removeprefix("/")
        return {(each.get(key), each["id"]): each for each in self.cosmos.documents(name)}

    def migrator(self, database: DatabaseProxy | None = None) -> Migrator:
        database = database or self.database
        clock = FakeClock(lambda: self.now, lambda: self.now)
        prices = PriceBook(database.get_container_client("fleet_state"), clock=clock)
        return Migrator(database=database, reader=database, prices=prices, clock=clock)

    async def migrate(self, name: str = NAME, to: str = "1.1", **options: Any) -> MigrationReport:
        return await self.migrator().migrate(name, to, **{"ru_per_second": 1e9} | options)


def own(document: Document) -> Document:
    return {name: value for name, value in document.items() if name == "_ttl" or not name.startswith("_")}


@asynccontextmanager
async def a_service(*names: str, partitions: int = 1) -> AsyncIterator[Service]:
    service: Service
    cosmos = InProcessCosmos(lambda: service.now, partitions=partitions)
    with ExitStack() as patches:
        patches.enter_context(cosmos.at_its_time())
        patches.enter_context(patch.object(retries, "jittered_pause", lambda *_: 0.0))
        patches.callback(cosmos.close)
        async with cosmos.client() as database, cosmos.client() as other:
            service = Service(cosmos, database)
            service.connections = [database, other]
            for name in (*names, "fleet_state"):
                described = container(name)
                await database.create_container(
                    name, PartitionKey(described.partition_key), default_ttl=described.default_ttl
                )
            service.now += 60
            yield service


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with a_service(NAME, "users", "personality_vectors", "personalities") as made:
        yield made


def versions_of(service: Service, name: str = NAME) -> list[str]:
    history = HISTORIES[DOCUMENT_TYPES[name]]
    return sorted(history.version_of(document) for document in service.stored(name).values())


# --- whatever happens meanwhile -----------------------------------------------------------------------------

STEPS = ["fine", "fine", "die_before", "die_after", "edit", "delete", "split", "another"]


class Meanwhile:
    """Does something before or after writes of a migration, by a plan."""

    def __init__(self, service: Service, plan: list[str]) -> None:
        self.service = service
        self.plan = plan
        self.edits: dict[str, int] = {}
        self.deleted: set[str] = set()
        self.original = migrate.replace_under_etag

    async def replace(self, target: ContainerProxy, body: Any, partition: Any, etag: str) -> bool:
        step = self.plan.pop(0) if self.plan else "fine"
        self.service.now += 1
        match step:
            case "die_before":
                raise Killed
            case "edit":
                await self.edit(body["id"], partition)
            case "delete":
                await self.service.container().delete_item(body["id"], partition)
                self.deleted.add(body["id"])
            case "split":
                self.service.cosmos.split(NAME, len(self.plan))
            case "another":
                await self.service.migrator(self.service.connections[1]).migrate(
                    NAME, "1.1", ru_per_second=1e9
                )
        done = await self.original(target, body, partition, etag)
        if step == "die_after":
            raise Killed
        return done

    async def edit(self, document_id: str, partition: Any) -> None:
        stored = await self.service.container().read_item(document_id, partition)
        self.edits[document_id] = self.edits.get(document_id, 0) + 1
        await self.service.container().upsert_item(own(stored) | {"note": self.edits[document_id]})


@settings(max_examples=25, deadline=None)
@given(
    shapes=st.lists(st.integers(0, len(SHAPES) - 1), min_size=1, max_size=14),
    plan=st.lists(st.sampled_from(STEPS), max_size=8),
    age=st.integers(2, 170 * DAY),
    partitions=st.integers(1, 2),
)
def test_every_document_is_brought_to_the_version_or_named(
    shapes: list[int], plan: list[str], age: int, partitions: int
) -> None:
    asyncio.run(migrate_all(shapes, plan, age, partitions))


async def migrate_all(shapes: list[int], plan: list[str], age: int, partitions: int) -> None:
    async with a_service(NAME, partitions=partitions) as service:
        await service.write(
            *(SHAPES[shape] | {"id": f"i{n}", "user_id": f"u{n % 5}"} for n, shape in enumerate(shapes))
        )
        before = {key[1]: document for key, document in service.stored().items()}
        service.now += age
        meanwhile = Meanwhile(service, plan)
        with (
            patch.object(migrate, "replace_under_etag", meanwhile.replace),
            patch.object(migrate, "PAGE_SIZE", 3),
        ):
            while True:
                try:
                    report = await service.migrate()
                except (Killed, MigrationError):  # another one began after this one was finished
                    continue
                if report.finished:
                    break
        after = {key[1]: document for key, document in service.stored().items()}
        assert set(after) == set(before) - meanwhile.deleted
        for document_id, document in after.items():
            shape = shapes[int(document_id[1:])]
            if shape == UNREADABLE and document_id not in meanwhile.edits:
                assert document == before[document_id]
                continue
            assert document.get("note") == meanwhile.edits.get(document_id)
            if shape == UNREADABLE:
                continue
            assert document["schema_version"] == "1.1"
            if document_id not in meanwhile.edits and document["_etag"] != before[document_id]["_etag"]:
                end = before[document_id]["_ts"] + container(NAME).default_ttl
                # Each write takes a second here, and eight are written concurrently.
                assert 0 <= document["_ts"] + document["ttl"] - end <= 8
        service.now += 200  # what was written last is older than the next walk
        again = await service.migrate(dry_run=True)
        assert again.tally.migrated == 0
        unreadable = sum(shapes[int(document_id[1:])] == UNREADABLE for document_id in after)
        assert again.tally.left.total() == unreadable
        assert again.tally.versions.total() == len(after)


async def test_a_document_that_changes_meanwhile_is_migrated_before_its_page_is_committed(
    service: Service,
) -> None:
    await service.write(FLAT | {"id": "i0", "user_id": "u0"})
    meanwhile = Meanwhile(service, ["edit"])
    with (
        patch.object(migrate, "replace_under_etag", meanwhile.replace),
        patch.object(Migrator, "_commit", side_effect=Killed),
        pytest.raises(Killed),
    ):
        await service.migrate()
    (document,) = service.stored().values()
    assert (document["schema_version"], document["note"]) == ("1.1", 1)


def test_a_page_that_two_instances_read_is_counted_once() -> None:
    half, rest = FeedRange("", "80"), FeedRange("80", "FF")
    walk = MigrationWalk("1.1", Cursors.from_beginning("rid", [half, rest], 7, after=None))
    page = Tally(Counter({"0.1": 2}), migrated=2)
    once = walk.advanced(Cursor(half, "5"), page, to_the_end=False)
    twice = once.advanced(Cursor(half, "5"), page, to_the_end=True)
    assert (twice.tally, twice.done, twice.finished) == (page, (half,), False)
    assert MigrationWalk.decode(twice.encode()) == twice
    assert twice.advanced(Cursor(rest, "1"), page, to_the_end=True).finished


# --- one thing after another --------------------------------------------------------------------------------


async def test_a_dry_run_counts_by_version_and_writes_nothing(service: Service) -> None:
    await service.write(*(SHAPES[n % 5] | {"id": f"i{n}", "user_id": f"u{n}"} for n in range(15)))
    before = service.stored()
    report = await service.migrate(dry_run=True)
    assert report.tally.versions == {"0.1": 3, "0.2": 6, "1.0": 3, "1.1": 3}
    assert (report.tally.migrated, dict(report.tally.left), report.finished) == (9, {"user_rating": 3}, True)
    assert service.stored() == before
    assert not service.stored("fleet_state")
    assert {field for field, _ in report.examples} == {"user_rating"}


async def test_a_run_whose_time_is_up_is_continued_where_it_stopped(service: Service) -> None:
    await service.write(*(NESTED | {"id": f"i{n:03}", "user_id": f"u{n}"} for n in range(250)))
    service.now += 5
    first = await service.migrate(budget_seconds=0.0)
    assert (first.finished, first.tally.migrated) == (False, 0)
    reports = [first]
    while not reports[-1].finished:
        with patch.object(service, "now", service.now):
            migrator = service.migrator()
            ticks = iter([0.0, 0.0, 0.0, 99.0])
            migrator._clock = FakeClock(lambda: service.now, lambda ticks=ticks: next(ticks, 99.0))
            reports.append(await migrator.migrate(NAME, "1.1", ru_per_second=1e12, budget_seconds=1.0))
    migrated = [report.tally.migrated for report in reports]
    assert migrated == sorted(migrated)
    assert len(set(migrated)) > 2
    assert (reports[-1].tally.migrated, reports[-1].tally.versions) == (250, {"0.1": 250})
    assert versions_of(service) == ["1.1"] * 250


async def test_a_finished_migration_that_is_run_again_reads_everything_and_writes_nothing(
    service: Service,
) -> None:
    await service.write(*(FLAT | {"id": f"i{n}", "user_id": f"u{n}"} for n in range(5)))
    assert (await service.migrate()).tally.migrated == 5
    before = service.stored()
    service.now += 100
    again = await service.migrate()
    assert (again.tally.versions, again.tally.migrated) == ({"1.1": 5}, 0)
    assert service.stored() == before


async def test_a_migration_to_another_version_takes_the_place_of_one_that_is_not_finished(
    service: Service,
) -> None:
    await service.write(NESTED)
    await service.migrate(to="0.2", budget_seconds=0.0)
    assert (await service.migrate(to="1.0")).tally.migrated == 1
    assert versions_of(service) == ["1.0"]


async def test_ids_that_no_url_can_address_and_accounts_without_an_owner_are_migrated(
    service: Service,
) -> None:
    ids = ["a/b", "a\\b", "a?b", "a#b", "..", "काम", " ä%2f"]
    for document_id in ids:
        await write_any(service, NAME, FLAT | {"id": document_id, "user_id": "u/1"})
    account = {"id": "old", "partition_key": "old", "analytics_consent": False}
    await service.write(account, account | {"id": "null", "user_id": None}, to="users")
    report = await service.migrate()
    assert (report.tally.migrated, report.tally.left.total()) == (len(ids), 0)
    assert {document["schema_version"] for document in service.stored().values()} == {"1.1"}
    users = await service.migrate("users", "1.0")
    assert (users.tally.migrated, users.tally.left.total()) == (2, 0)
    old = service.stored("users")[None, "old"]
    assert (old["schema_version"], old["privacy_settings"]) == ("1.0", {"analytics_consent": False})


async def write_any(service: Service, name: str, document: Document) -> None:
    """Write a document whose id the SDK would not write."""
    await service.container(name).execute_item_batch([("create", (own(document),))], document["user_id"])


async def test_the_rate_is_kept(service: Service) -> None:
    await service.write(*(FLAT | {"id": f"i{n}", "user_id": f"u{n}"} for n in range(40)))
    migrator = service.migrator()

    async def sleep(seconds: float) -> None:
        service.now += seconds

    with patch.object(migrate, "Throttle", lambda rate, clock: THROTTLE(rate, clock, sleep)):
        began = service.now
        report = await migrator.migrate(NAME, "1.1", ru_per_second=20)
    assert report.tally.migrated == 40
    seconds = service.now - began
    assert report.cost.request_units / 20 * 0.7 < seconds < report.cost.request_units / 20 + 1


THROTTLE = migrate.Throttle


@pytest.mark.parametrize(
    ("name", "to", "message"),
    [
        ("daily_metrics", "1.0", "have no schema versions; those of these containers have: users,"),
        (NAME, "1.2", "user_interactions has no schema version '1.2'; it has 0.1, 0.2, 1.0, 1.1"),
    ],
)
async def test_what_cannot_be_migrated_is_refused(service: Service, name: str, to: str, message: str) -> None:
    with pytest.raises(MigrationError, match=message):
        await service.migrate(name, to)


# --- moves --------------------------------------------------------------------------------------------------

VECTOR = {
    "id": "v", "partition_key": "krishna", "personality_id": "krishna", "source": "gita", "chapter": "2",
    "embeddings": {"v": [0.1, 0.2]}, "usage_metrics": {"citation_count": 1},
}  # fmt: skip
PROFILE = {"id": "krishna", "personality_id": "krishna", "document_type": "personality_profile"}


@pytest.fixture(params=["never", "before create", "before delete", "after delete"])
def killed(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_move_that_is_killed_is_completed_by_the_next_run(service: Service, killed: str) -> None:
    await service.write(VECTOR, PROFILE | {"partition_key": "krishna"}, to="personality_vectors")
    if killed != "never":
        delete, copied = migrate.delete_under_etag, Migrator._copied

        async def dying_delete(*arguments: Any) -> bool:
            if killed == "after delete":
                await delete(*arguments)
            raise Killed

        async def dying_copy(self: Migrator, decision: Any) -> bool:
            if killed == "before create":
                raise Killed
            return await copied(self, decision)

        with (
            patch.object(migrate, "delete_under_etag", dying_delete),
            patch.object(Migrator, "_copied", dying_copy),
            pytest.raises(Killed),
        ):
            await service.migrate("personality_vectors", "1.2")
        if killed == "before delete":  # the fleet writes usage every day, into either copy
            await service.write(VECTOR | {"usage_metrics": {"citation_count": 2}}, to="personality_vectors")
    report = await service.migrate("personality_vectors", "1.2")
    assert report.finished
    assert not report.tally.left
    assert set(service.stored("personality_vectors")) == {("krishna::gita", "v")}
    assert set(service.stored("personalities")) == {("krishna", "krishna")}


async def test_a_move_never_replaces_another_document(service: Service) -> None:
    newer = VECTOR | {"partition_key": "krishna::gita", "english_translation": "better"}
    await service.write(VECTOR, newer, to="personality_vectors")
    report = await service.migrate("personality_vectors", "1.2")
    assert dict(report.tally.left) == {"partition_key": 1}
    found = service.stored("personality_vectors")
    assert set(found) == {("krishna", "v"), ("krishna::gita", "v")}
    assert found["krishna::gita", "v"]["english_translation"] == "better"


async def test_a_vector_that_is_changed_while_it_moves_moves_as_it_is_then(service: Service) -> None:
    await service.write(VECTOR, to="personality_vectors")
    delete, edits = migrate.delete_under_etag, [VECTOR | {"english_translation": "edited"}]

    async def edited(*arguments: Any) -> bool:
        if edits:
            await service.write(edits.pop(), to="personality_vectors")
        return await delete(*arguments)

    with patch.object(migrate, "delete_under_etag", edited):
        report = await service.migrate("personality_vectors", "1.2")
    [(place, found)] = service.stored("personality_vectors").items()
    assert (place, found["english_translation"]) == (("krishna::gita", "v"), "edited")
    assert (report.tally.moved, dict(report.tally.left)) == (1, {})


async def test_nothing_is_deleted_among_personas(service: Service) -> None:
    profile = PROFILE | {"partition_key": "krishna"}
    await service.write(profile, to="personality_vectors")
    delete, edits = migrate.delete_under_etag, [profile | {"display_name": "edited"}]
    asked: list[str] = []

    async def edited(container: Any, *arguments: Any) -> bool:
        asked.append(container.id)
        if edits:
            await service.write(edits.pop(), to="personality_vectors")
        return await delete(container, *arguments)

    with patch.object(migrate, "delete_under_etag", edited):
        report = await service.migrate("personality_vectors", "1.2")
    assert set(asked) == {"personality_vectors"}
    assert set(report.tally.left) == {"personality_id"}
    assert set(service.stored("personality_vectors")) == {("krishna", "krishna")}


async def test_a_vector_whose_deletion_was_not_answered_is_not_lost(service: Service) -> None:
    await service.write(VECTOR, to="personality_vectors")
    delete = migrate.delete_under_etag

    async def unanswered(*arguments: Any) -> bool:
        await delete(*arguments)
        return await delete(*arguments)

    with patch.object(migrate, "delete_under_etag", unanswered):
        report = await service.migrate("personality_vectors", "1.2")
    assert report.finished
    assert set(service.stored("personality_vectors")) == {("krishna::gita", "v")}
