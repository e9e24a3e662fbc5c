"""Runs of the archive: everything that is due, once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.archive import pages
from shared.archive.archiver import ContainerReport
from shared.archive.names import parse_name
from shared.archive.store import ErasedAmong
from shared.containers import ARCHIVED
from shared.cosmos.charges import measured_cost
from shared.privacy.keyring import KeyRing
from tests.fake_blobs import Death
from tests.sample_keys import HASH_KEYS
from tests.unit.shared.archive.world import World, interaction, world

INTERACTIONS = "user_interactions"


def reported(reports: list[ContainerReport], name: str = INTERACTIONS) -> ContainerReport:
    return next(each for each in reports if each.container == name)


def contents(of: World) -> dict[str, Any]:
    return {name: json.loads(of.blobs.blobs[name][0]) for name in of.names()}


async def test_what_is_due_is_archived_and_the_source_is_not_touched() -> None:
    async with world() as here:
        old = [interaction(n, f"u{n % 7}", session_token="s") for n in range(40)]
        await here.write(INTERACTIONS, *old, age_days=200)
        await here.write(INTERACTIONS, *(interaction(n, "u1") for n in range(100, 110)), age_days=179)
        before = await here.all_of(INTERACTIONS)
        report = reported(await here.archiver().run())
        assert (report.outcome.archived, report.outcome.known, report.outcome.undated) == (40, 0, 0)
        wanted = {
            f"archived/2025/03/01/{each['user_id']}/{each['id']}.json": {
                name: value for name, value in each.items() if name != "session_token"
            }
            for each in old
        }
        assert contents(here) == wanted
        for name in here.names():
            content, stored = here.blobs.blobs[name]
            assert stored.metadata["sha256"] == hashlib.sha256(content).hexdigest()
            assert stored.metadata["container"] == INTERACTIONS
            assert here.blobs.tiers[name], "not in the Cold tier"
        assert await here.all_of(INTERACTIONS) == before
        verified = await here.verifier().verify(sample=None)
        assert (verified.documents, verified.problems, verified.unfinished) == (40, [], 0)


async def test_a_run_with_nothing_to_do_costs_a_query_per_range() -> None:
    async with world(partitions=4) as here:
        await here.write(INTERACTIONS, *(interaction(n, f"u{n}") for n in range(30)), age_days=200)
        await here.archiver().run()
        archiver, blobs = here.archiver(), here.blobs.requests
        tasks = await archiver.plan(INTERACTIONS)
        with measured_cost() as cost:
            for task in tasks:
                assert (await archiver.archive_page(task)).is_last
        assert (len(tasks), cost.requests) == (4, 4)
        assert here.blobs.requests - blobs == 2, "one for the archive's id, one for parts that were left"


async def test_nothing_at_all_is_archived_of_an_empty_database() -> None:
    async with world() as here:
        reports = await here.archiver().run()
        assert {each.container for each in reports} == set(ARCHIVED)
        assert all(each.outcome.archived == each.pages == 0 for each in reports)
        assert here.names() == []


async def test_a_dry_run_counts_and_writes_nothing() -> None:
    async with world() as here:
        await here.write(INTERACTIONS, *(interaction(n, f"u{n}") for n in range(30)), age_days=200)
        report = reported(await here.archiver().run(dry_run=True))
        assert report.due == 30
        assert here.blobs.blobs == {}
        assert await here.all_of("fleet_state") == []


async def test_an_age_replaces_the_containers_own() -> None:
    async with world() as here:
        await here.write(INTERACTIONS, interaction(1), age_days=20)
        await here.write(INTERACTIONS, interaction(2), age_days=5)
        reports = await here.archiver().run(INTERACTIONS, older_than_days=10)
        assert [each.outcome.archived for each in reports] == [1]


async def test_an_edited_document_is_kept_in_both_versions() -> None:
    async with world() as here:
        await here.write(INTERACTIONS, interaction(1), age_days=250)
        await here.archiver().run()
        await here.write(INTERACTIONS, interaction(1, user_rating=5), age_days=200)
        report = reported(await here.archiver().run())
        assert (report.outcome.archived, report.outcome.versions) == (1, 1)
        assert {
            name.rpartition("/")[2]: body.get("user_rating") for name, body in contents(here).items()
        } == {
            "i1.json": None,
            "i1=v2.json": 5,
        }
        assert (await here.verifier().verify(sample=None)).problems == []


ODD = ["a/b", "..", ".", "%2F", "ü" * 511, "x" * 1_023, "A", "a", "=none", "i1=v2", "अर्जुन"]


async def test_odd_ids_have_names_of_their_own() -> None:
    async with world() as here:
        documents = [interaction(0, user, id=each) for user in (*ODD, "y" * 2_000) for each in ODD]
        await here.write(INTERACTIONS, *documents, age_days=200)
        report = reported(await here.archiver().run())
        assert report.outcome.archived == len(documents)
        found = {(body["user_id"], body["id"]) for body in contents(here).values()}
        assert found == {(each["user_id"], each["id"]) for each in documents}
        for user in ODD:
            mine = [each async for each in here.archive.find_person(user)]
            assert sorted(str(each.document) for each in mine) == sorted(ODD)
            assert {each.user for each in mine} == {user}


async def test_documents_without_a_usable_time_are_dated_by_their_last_write_and_reported() -> None:
    async with world() as here:
        await here.write(INTERACTIONS, interaction(1, timestamp="yesterday"), age_days=200)
        report = reported(await here.archiver().run())
        assert report.outcome.undated == 1
        (name,) = here.names()
        parsed = parse_name(name)
        assert parsed is not None
        assert parsed.day.isoformat() == "2025-05-13"


async def test_what_expires_within_14_days_is_an_alert(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as here:
        await here.write(INTERACTIONS, interaction(1), age_days=352)
        await here.write(INTERACTIONS, interaction(2), age_days=350)
        before = {each.container: each for each in await here.archiver().status()}
        assert (before[INTERACTIONS].due, before[INTERACTIONS].expiring) == (2, 1)
        assert before["user_sessions"].due == 0
        assert reported(await here.archiver().run()).expiring == 1
        after = {each.container: each for each in await here.archiver().status()}
        assert (after[INTERACTIONS].due, after[INTERACTIONS].expiring) == (0, 0)
        assert after[INTERACTIONS].last_run is not None


async def test_a_container_that_was_made_again_is_archived_from_its_beginning() -> None:
    async with world() as here:
        await here.write(INTERACTIONS, interaction(1), age_days=200)
        await here.archiver().run()
        snapshot = here.cosmos.snapshot(INTERACTIONS)
        await here.write(INTERACTIONS, interaction(2), age_days=199)
        await here.archiver().run()
        of = here.database.get_container_client(INTERACTIONS)
        await here.cosmos.restore(here.database, of, snapshot)
        await here.reconnect()
        report = reported(await here.archiver().run())
        assert (report.outcome.archived, report.outcome.known) == (0, 1)


async def test_another_storage_account_is_filled_from_the_beginning() -> None:
    async with world() as here:
        await here.write(INTERACTIONS, interaction(1), age_days=200)
        await here.archiver().run()
        here.blobs.blobs.clear()
        assert reported(await here.archiver().run()).outcome.archived == 1


def erasing_bob(here: World) -> ErasedAmong:
    """Return what answers, and then lets bob be erased: before anything of him is stored."""

    async def erased_among(users: Any) -> set[str]:
        answer = await here.erased_among(users)
        if "bob" not in here.erased and users:
            here.erased.add("bob")
            await here.archive.erase_person("bob")
        return answer

    return erased_among


async def test_erased_people_are_not_archived_and_an_erasure_meanwhile_leaves_nothing() -> None:
    async with world(partitions=1) as here:
        documents = [interaction(n, user) for n in range(3) for user in ("ann", "bob", "eve")]
        await here.write(INTERACTIONS, *documents, age_days=200)
        await here.write(
            "user_analytics",
            {"id": "user_analytics_bob_2025_07", "user_id": "bob", "period_start": "2025-07-01T00:00:00Z"},
            age_days=80,
        )
        here.erased = {"eve"}

        reports = await here.archiver(erasing_bob(here)).run()
        assert reported(reports).outcome.erased >= 3
        everything = repr([(name, content) for name, (content, _) in here.blobs.blobs.items()])
        assert {body["user_id"] for body in contents(here).values()} == {"ann"}
        assert "eve" not in everything
        assert "bob" not in everything
        verified = await here.verifier().verify(sample=None)
        assert (verified.problems, verified.unfinished) == ([], 0)


async def test_a_page_that_is_archived_again_adds_nothing_if_documents_share_a_name() -> None:
    """One of each container; and two without a user, of which only one says so."""
    async with world(partitions=1) as here:
        same = interaction(1) | {"created_at": "2025-03-01T10:00:00Z"}
        nobody = {name: value for name, value in interaction(2).items() if name != "user_id"}
        await here.write(
            INTERACTIONS, same, {**nobody, "user_id": None}, {**nobody, "user_id": 7}, age_days=200
        )
        await here.write("abuse_incidents", same, age_days=200)
        await here.archiver().run(older_than_days=100)
        state = here.database.get_container_client("fleet_state")
        before = here.names()
        assert len(before) == 4
        for name in (INTERACTIONS, "abuse_incidents"):
            await state.delete_item(f"archive-{name}", "archive")
        await here.archiver().run(older_than_days=100)
        assert here.names() == before


@pytest.mark.parametrize("before", range(8))
async def test_an_erasure_while_a_page_is_stored_leaves_nothing(
    before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The erasure runs just before one of the writes: of the unfinished part, the six blobs, or the part."""
    async with world(partitions=1) as here:
        await here.write(
            INTERACTIONS, *(interaction(n, user) for n in range(3) for user in ("ann", "bob")), age_days=200
        )
        writes = 0

        async def erase(name: str) -> None:
            nonlocal writes
            writes += name != "archive.json"
            if writes == before + 1 and "bob" not in here.erased:
                here.erased.add("bob")
                await here.archive.erase_person("bob")

        create, replace = here.blobs.create, here.blobs.replace

        async def created(name: str, *of: Any, **more: Any) -> bool:
            await erase(name)
            return await create(name, *of, **more)

        async def replaced(name: str, *of: Any, **more: Any) -> None:
            await erase(name)
            await replace(name, *of, **more)

        monkeypatch.setattr(here.blobs, "create", created)
        monkeypatch.setattr(here.blobs, "replace", replaced)
        await here.archiver(here.erased_among).run(INTERACTIONS)
        assert here.erased == {"bob"}
        assert b"bob" not in b"".join(content for content, _ in here.blobs.blobs.values())
        assert {parse_name(name).owner for name in here.names()} == {"ann"}  # type: ignore[union-attr]
        verified = await here.verifier().verify(sample=None)
        assert (verified.problems, verified.unfinished, verified.documents) == ([], 0, 3)


@pytest.mark.parametrize("since", ["nothing", "a blob is lost", "the key is replaced"])
async def test_a_finished_part_of_a_dead_process_is_no_hindrance(
    since: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process died after it wrote the part as finished, and before it deleted the unfinished one."""
    async with world(partitions=1) as here:
        await here.write(INTERACTIONS, *(interaction(n) for n in range(3)), age_days=200)

        async def dies(name: str) -> bool:
            raise Death

        with monkeypatch.context() as patched:
            patched.setattr(here.blobs, "delete", dies)
            with pytest.raises(Death):
                await here.archiver().run(INTERACTIONS)
        lost = here.names()[:1] if since == "a blob is lost" else []
        for name in lost:
            await here.blobs.delete(name)
        if since == "the key is replaced":
            newer = f"newer={base64.b64encode(bytes(range(32))).decode()},{HASH_KEYS}"
            here.archive.ring = KeyRing.parse(newer)
        here.time += 7_200
        await here.archiver().run(INTERACTIONS)
        assert len(here.names()) == 3  # what was lost is due still, and archived again
        verified = await here.verifier().verify(sample=None)
        assert (verified.problems, verified.unfinished) == ([], 0)


@pytest.mark.parametrize("erased_at", range(6, 26))
async def test_of_a_person_who_is_erased_while_a_process_archives_or_dies_nothing_stays(
    erased_at: int,
) -> None:
    for death in (None, *range(2 * erased_at, 2 * erased_at + 24)):
        async with world(partitions=1, sources=[INTERACTIONS]) as here:
            documents = [interaction(n, user) for n in range(2) for user in ("ann", "bob")]
            await here.write(INTERACTIONS, *documents, age_days=200)
            here.blobs.interruption = erased_at, lambda here=here: erase_bob(here)
            here.blobs.dies_at = death
            with suppress(Death):
                await here.archiver(here.erased_among).run(INTERACTIONS)
            here.blobs.dies_at = here.blobs.interruption = None
            if not here.erased:
                await erase_bob(here)
            here.time += 4_000
            await here.archiver(here.erased_among).run(INTERACTIONS)
            assert {body["user_id"] for body in contents(here).values()} == {"ann"}, death
            verified = await here.verifier().verify(sample=None)
            assert (verified.problems, verified.unfinished) == ([], 0), death
            assert "/bob/" not in repr(here.blobs.blobs), death


async def erase_bob(here: World) -> None:
    """Erase bob as an erasure does: tombstone, source, archive."""
    here.erased.add("bob")
    for number in range(2):
        await here.database.get_container_client(INTERACTIONS).delete_item(f"i{number}", "bob")
    await here.archive.erase_person("bob")


@settings(max_examples=15, deadline=None)
@example(deaths=[2], moves=[(False, 0)], counts=[14, 11, 8], page=1, hosts=1)
@given(
    deaths=st.lists(st.integers(2, 160), max_size=4),
    moves=st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=4),
    counts=st.lists(st.integers(0, 14), min_size=1, max_size=5),
    page=st.integers(1, 12),
    hosts=st.integers(1, 2),
)
def test_everything_is_archived_once_whatever_dies_and_however_partitions_move(
    deaths: list[int], moves: list[tuple[bool, int]], counts: list[int], page: int, hosts: int
) -> None:
    """Processes die before or after any request to the storage; partitions are split and merged."""
    asyncio.run(_archive_with(deaths, moves, counts, page, hosts))


async def _archive_with(
    deaths: list[int], moves: list[tuple[bool, int]], counts: list[int], page: int, hosts: int
) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(pages, "PAGE_SIZE", page)
    try:
        async with world() as here:
            wanted: dict[str, dict[str, Any]] = {}
            for second, count in enumerate(counts):
                for number in range(count):  # all of one second
                    document = interaction(100 * second + number, f"u{number % 4}")
                    await here.write(INTERACTIONS, document, age_days=200 - second / 86_400)
                    wanted[f"archived/2025/03/01/u{number % 4}/{document['id']}.json"] = document
            await here.write(INTERACTIONS, interaction(9_000), age_days=100)
            etags = {each["id"]: each["_etag"] for each in await here.all_of(INTERACTIONS)}
            moving = iter(moves)
            for death in [*deaths, None]:
                here.blobs.requests, here.blobs.dies_at = 0, death
                runs = [here.archiver().run(INTERACTIONS) for _ in range(hosts)]
                ended = await asyncio.gather(*runs, return_exceptions=True)
                assert all(isinstance(each, Death | list) for each in ended), ended
                here.blobs.dies_at = None
                if (move := next(moving, None)) is not None:
                    is_split, number = move
                    if is_split:
                        here.cosmos.split(INTERACTIONS, number)
                    else:
                        here.cosmos.merge(INTERACTIONS, number, in_order_of_time=True)
                here.time += 4_000  # until parts that were left are completed
            await here.archiver().run(INTERACTIONS)
            assert contents(here) == wanted
            verified = await here.verifier().verify(sample=None)
            assert (verified.documents, verified.problems) == (len(wanted), [])
            assert verified.unfinished == 0
            assert {each["id"]: each["_etag"] for each in await here.all_of(INTERACTIONS)} == etags
            again = reported(await here.archiver().run(INTERACTIONS))
            assert (again.outcome.archived, again.outcome.known) == (0, 0)
    finally:
        patch.undo()
