"""An erasure: what is left, whatever dies, returns, is delivered late, or restored."""

from __future__ import annotations

import asyncio
import io
import zipfile
from datetime import timedelta
from typing import Any

import pytest

from shared.aggregates.base import PartialKey
from shared.containers import CATALOGUE
from shared.cosmos.retries import ERASED_RECORD_SECONDS
from shared.errors import ErasureError, RequestNotFoundError
from shared.ledger.partials import partial_id
from shared.people.erasure import Step
from shared.people.places import SEARCHED, SOURCE_CONTAINERS, WITHOUT_PEOPLE, is_position_at
from shared.people.requests import Reason, Status
from shared.publishing.consent import USER_LEVEL_CONTAINERS
from shared.settings import Settings
from tests.unit.shared.people.world import (
    Document,
    World,
    account,
    fill,
    interaction,
    session,
    world,
)

VIEWS = (
    "daily_metrics", "user_analytics", "engagement_summary", "incidents_by_content", "content_popularity",
    "content_analytics",
)  # fmt: skip
TIMES = ("calculated_at", "last_updated", "generated_at")
STATE = frozenset({"_rid", "_self", "_etag", "_ts", "_attachments", "state", "calculated_at", "ttl", "_ttl"})


def without_state(document: Document) -> Document:
    """Return a published document without what says how often and when its state was written."""
    return {name: value for name, value in document.items() if name not in STATE and name not in TIMES}


def views(of: World) -> dict[str, list[Document]]:
    return {
        each.name: sorted(
            (without_state(document) for document in of.cosmos.documents(each.name)), key=lambda d: d["id"]
        )
        for each in CATALOGUE
        if each.name in VIEWS
    }


def test_every_container_of_the_catalogue_is_looked_at_or_holds_nobody() -> None:
    looked_at = {*SOURCE_CONTAINERS, *USER_LEVEL_CONTAINERS, *SEARCHED, "view_state"}
    assert looked_at.isdisjoint(WITHOUT_PEOPLE)
    assert looked_at | {*WITHOUT_PEOPLE} == {each.name for each in CATALOGUE}
    assert set(WITHOUT_PEOPLE) == {
        "personalities", "personality_vectors", "content_analytics", "daily_metrics", "engagement_summary",
        "content_popularity", "system_health", "incidents_by_content", "change_feed_leases",
    }  # fmt: skip


async def test_nothing_of_the_person_is_left_and_views_are_those_without_the_person() -> None:
    async with world() as one, world() as other:
        await fill(one, ["ann-marie", "ben", "cid"])
        await one.write("user_interactions", interaction("ann-marie", 90, "no time at all"))
        fleet = await one.fleet()
        await one.deliver(fleet)
        await one.publish(fleet)
        assert one.cosmos.documents("poison_messages")
        assert len(one.mentions("ann-marie")) > 10
        found = await one.people(fleet).eraser.find("ann-marie")
        request = await one.erase("ann-marie", fleet)
        one.now += timedelta(days=1)  # what timers publish follows within a day
        await one.publish(fleet)

        await fill(other, ["ben", "cid"])
        fresh = await other.fleet()
        await other.deliver(fresh)
        other.now = one.now
        await other.publish(fresh)
        assert views(one) == views(other)
        assert one.mentions("ann-marie") == []
        assert found == {
            "abuse_incidents": 2, "poison_messages": 1, "user_analytics": found["user_analytics"],
            "user_interactions": 5, "user_sessions": 2, "users": 1,
            "view_state entries": 9, "view_state months": 1, "view_state records": 1,
        }  # fmt: skip
        assert request.counts == {
            "abuse_incidents": 2, "view_state entries": 9, "poison_messages": 1, "user_interactions": 5,
            "user_sessions": 2, "users": 1,
            "user_analytics": found["user_analytics"],
        }  # fmt: skip


async def test_the_audit_says_who_when_why_and_how_much_and_names_nobody() -> None:
    async with world() as one:
        await fill(one, ["ann-marie"])
        fleet = await one.fleet()
        await one.deliver(fleet)
        request = await one.erase("ann-marie", fleet)
        stored = await one.people(fleet).requests.get(request.id)
        assert stored == request
        assert (request.by, request.reason, request.status) == ("tests", "person", Status.DONE)
        assert request.asked_at == "2025-09-15T14:00:00Z"
        assert request.ended_at == "2025-09-15T14:02:30Z"  # it waited until no instance could make a record
        assert request.user_id is None
        assert "ann-marie" not in repr(one.cosmos.documents("fleet_state"))
        assert set(request.public()) == {
            "id", "kind", "person", "reason", "by", "asked_at", "status", "step", "counts", "problem",
            "ended_at", "target",
        }  # fmt: skip


@pytest.mark.parametrize("seen", ["cached", "not cached"])
async def test_an_instance_with_warm_caches_counts_nothing_of_the_person_any_more(seen: str) -> None:
    async with world() as one:
        await fill(one, ["ann-marie", "ben"])
        warm = await one.fleet()
        await one.deliver(warm)
        if seen == "not cached":
            warm = await one.fleet()
        people = one.people(await one.fleet())
        request = await people.erase("ann-marie", reason=Reason.PERSON, by="tests")
        for number in range(30):
            if number < 9:  # then the account works no more
                again = interaction("ann-marie", number % 3, user_rating=number % 5 + 1)
                await one.write("user_interactions", again)
            await one.deliver(warm)
            request, seconds = await people.advance(request.id)
            if not request.is_running:
                break
            one.now += timedelta(seconds=seconds)
        await one.deliver(warm, again=True)
        assert not request.is_running
        assert one.mentions("ann-marie") == []


@pytest.mark.parametrize("step", list(Step)[:-1])
@pytest.mark.parametrize("done", [False, True])
async def test_a_process_that_dies_at_any_step_is_followed_by_one_that_ends_it(
    step: Step, done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies before the step, or after it and before the next one is stored."""
    async with world() as one:
        await fill(one, ["ann-marie", "ben"])
        fleet = await one.fleet()
        await one.deliver(fleet)
        await one.publish(fleet)
        people = one.people(await one.fleet())
        request = await people.erase("ann-marie", reason=Reason.PERSON, by="tests")
        while request.step < step:
            request, seconds = await people.advance(request.id)
            one.now += timedelta(seconds=seconds)
        if done:
            await people.eraser._do(step, "ann-marie", request)
        ended = await one.finish(one.people(await one.fleet()), request)
        assert ended.status is Status.DONE
        await one.deliver(fleet, again=True)
        assert one.mentions("ann-marie") == []
        assert one.mentions("ben-i0")


async def test_two_erasures_at_once_end_both() -> None:
    async with world() as one:
        await fill(one, ["ann-marie", "ben"])
        await one.deliver(await one.fleet())
        first, second = one.people(await one.fleet()), one.people(await one.fleet())
        requests = await asyncio.gather(
            first.erase("ann-marie", reason=Reason.PERSON, by="one"),
            second.erase("ann-marie", reason=Reason.AUTHORITY, by="two"),
        )
        for _ in range(40):
            steps = await asyncio.gather(
                *(people.advance(r.id) for people, r in zip((first, second), requests, strict=True))
            )
            one.now += timedelta(seconds=max(seconds for _, seconds in steps))
        assert [each.status for each, _ in steps] == [Status.DONE] * 2
        assert one.mentions("ann-marie") == []
        later = await one.people(await one.fleet()).erase("ann-marie", reason=Reason.PERSON, by="three")
        assert later.id not in {each.id for each in requests}


async def test_an_erasure_that_runs_is_found_instead_of_a_second_one() -> None:
    async with world() as one:
        people = one.people(await one.fleet())
        requests = [await people.erase("ann-marie", reason=Reason.PERSON, by="tests") for _ in range(2)]
        assert requests[0] == requests[1]


async def test_an_unknown_person_is_erased_all_the_same() -> None:
    async with world() as one:
        request = await one.erase("nobody-knows")
        assert (request.status, request.counts) == (Status.DONE, {})
        assert one.mentions("nobody-knows") == []
        await fill(one, ["nobody-knows"])
        fleet = await one.fleet()
        await one.deliver(fleet)
        assert not await one.people(fleet).eraser._state.find("nobody-knows")


async def test_a_request_that_does_not_exist_is_said_so() -> None:
    async with world() as one:
        with pytest.raises(RequestNotFoundError, match="There is no request 'cafe'"):
            await one.people(await one.fleet()).advance("cafe")


async def test_a_new_generation_does_not_bring_the_person_back() -> None:
    async with world() as one:
        await fill(one, ["ann-marie", "ben"])
        await one.deliver(await one.fleet())
        kept = [d for d in one.cosmos.documents("user_interactions") if d["user_id"] == "ann-marie"]
        await one.erase("ann-marie")
        await one.write("user_interactions", *kept)  # a web application that writes them again
        one.settings = Settings(FLEET_SHARDS=3, FLEET_GENERATION=2)
        second = await one.fleet()
        await one.deliver(second)
        await one.publish(second)
        assert await one.people(second).eraser._state.find("ann-marie") == {}
        assert [each["user_id"] for each in one.cosmos.documents("user_analytics")] == ["ben"] * len(
            one.cosmos.documents("user_analytics")
        )


async def test_an_erasure_while_two_generations_exist_leaves_neither_with_the_person() -> None:
    async with world() as one:
        await fill(one, ["ann-marie", "ben"])
        await one.deliver(await one.fleet())
        one.settings = Settings(FLEET_SHARDS=3, FLEET_GENERATION=2)
        second = await one.fleet()
        await one.deliver(second)
        assert (await one.people(second).eraser.find("ann-marie"))["view_state records"] == 2
        await one.erase("ann-marie", second)
        assert one.mentions("ann-marie") == []


async def test_after_a_restore_the_copies_of_tombstones_erase_again_who_came_back() -> None:
    async with world() as one:
        await fill(one, ["ann-marie", "ben"])
        fleet = await one.fleet()
        await one.deliver(fleet)
        await one.publish(fleet)
        names = [each.name for each in CATALOGUE]
        before = {name: one.cosmos.snapshot(name) for name in names}
        await one.erase("ann-marie", fleet)
        for name in names:
            await one.cosmos.restore(one.database, one.database.get_container_client(name), before[name])
        one.database = await one.client()
        restored = await one.fleet()
        assert one.mentions("ann-marie")
        assert not await restored.register.is_erased("ann-marie")
        people = one.people(restored)
        report = await people.reapply_tombstones("tests")
        assert (report.tombstones, len(report.requests)) == (1, 1)
        await one.finish(people, await people.requests.get(report.requests[0]))
        assert one.mentions("ann-marie") == []
        assert one.mentions("ben-i0")
        assert (await people.reapply_tombstones("tests")).requests == ()


async def test_positions_of_rounds_at_the_person_move_to_the_next_one() -> None:
    async with world() as one:
        await fill(one, ["ann-marie", "ben", "cid"])
        fleet = await one.fleet()
        await one.deliver(fleet)
        shards = sorted(
            {d["shard"] for d in one.cosmos.documents("view_state") if d["id"].endswith("|ann-marie")}
        )
        rounds = {"hourly": {"left": dict.fromkeys(shards, "partial|person|ann-marie ")}}
        await one.write("fleet_state", {"id": "views-1", "scope": "refresh", "rounds": rounds, "tiers": {}})
        await one.erase("ann-marie")
        assert one.mentions("ann-marie") == []
        (stored,) = [d for d in one.cosmos.documents("fleet_state") if d["id"] == "views-1"]
        (position,) = stored["rounds"]["hourly"]["left"].values()
        assert position > "partial|person|ann-marie"


@pytest.mark.parametrize("user", ["ann", "ann/me", "marie|ann"])
def test_a_position_is_at_the_documents_of_one_person(user: str) -> None:
    for target in (PartialKey("person", user), PartialKey("person_month", f"202509|{user}")):
        for position in (partial_id(target), f"{partial_id(target)} "):
            at = [other for other in ("ann", "ann/me", "marie|ann", "me") if is_position_at(position, other)]
            assert at == [user]


async def test_what_a_person_has_to_help_with_is_said_and_tried_again() -> None:
    async with world() as one:
        fleet = await one.fleet()
        control = one.database.get_container_client("fleet_state")
        stored = await control.read_item("generations", "generations")
        generation = stored["generations"]["1"]
        await control.upsert_item(stored | {"generations": {"1": generation | {"layout": 1}}})
        people = one.people(fleet)
        request = await people.erase("ann-marie", reason=Reason.PERSON, by="tests")
        for _ in range(2):
            request, _ = await people.advance(request.id)
        assert request.status is Status.REFUSED
        assert "generations remove 1" in (request.problem or "")
        with pytest.raises(ErasureError):
            await people.eraser.find("ann-marie")
        await control.upsert_item(stored)
        assert (await one.finish(people, request)).status is Status.DONE


async def test_people_whose_accounts_were_deleted_are_erased_after_the_grace_period() -> None:
    async with world() as one:
        await fill(one, ["ann-marie", "ben", "cid"])
        await one.write("users", account("ann-marie", account_status="deleted"))
        await one.write("users", account("cid", account_status="deleted"))
        await one.write("users", account("cid") | {"id": "another of cid"})
        people = one.people(await one.fleet())
        one.now += timedelta(days=29)
        assert await people.work(1e9) == 0
        one.now += timedelta(days=2)
        for _ in range(3):
            await people.work(1e9)
            one.now += timedelta(seconds=ERASED_RECORD_SECONDS)
        assert one.mentions("ann-marie") == []
        assert one.mentions("ben-i0")
        assert one.mentions("cid-i0")
        (request,) = [each async for each in people.requests.all()]
        assert (request.reason, request.by) == ("account_deleted", "timer")


async def test_a_long_name_of_another_person_is_not_taken_for_theirs() -> None:
    async with world() as one:
        await fill(one, ["ann", "ann-marie", "marie|ann"])
        await one.write("user_interactions", *(interaction(u, 9, "never") for u in ("ann", "ann-marie")))
        fleet = await one.fleet()
        await one.deliver(fleet)
        before = len(one.mentions("ann-marie"))
        await one.erase("ann", fleet)
        assert len(one.mentions("ann-marie")) == before
        assert not [d for d in one.cosmos.documents("user_interactions") if d["user_id"] == "ann"]


@pytest.mark.parametrize("person", ["1", "2", "pending", "people"])
async def test_a_text_that_happens_to_be_a_persons_id_is_not_taken_for_them(person: str) -> None:
    """As the number of a chapter or of a generation, as a status, and as the end of a longer id."""
    others = ["ben", f"auth0|{person}", f"user_{person}", f"superuser_{person}"]
    async with world() as one:
        await fill(one, [person, *others])
        for user in (person, *others):
            await one.write("user_interactions", interaction(user, 90, "no time at all"))
        broken = {"account_status": 5} | {"privacy_settings": {"analytics_consent": person}}
        await one.write("users", account(person, **broken), account("ben", **broken))
        fleet = await one.fleet()
        await one.deliver(fleet)
        rows = [row["source_partition_key"] for row in one.cosmos.documents("poison_messages")]
        assert sorted(rows) == sorted([person, person, "ben", *others])
        people = one.people(fleet)
        found = [row async for row in people.eraser._places.poison_rows(person)]
        assert [row["source_partition_key"] for row in found] == [person, person]
        assert "fleet_state" not in await people.eraser.find(person)
        assert (await one.erase(person, fleet)).status is Status.DONE
        left = [row["source_partition_key"] for row in one.cosmos.documents("poison_messages")]
        assert sorted(left) == sorted(["ben", *others])


@pytest.mark.parametrize("length", [256, 1_023])
async def test_a_person_whose_id_is_too_long_to_be_counted_is_erased_all_the_same(length: int) -> None:
    person = "ann-marie" + "x" * (length - 9)
    async with world() as one:
        await one.write("users", account(person) | {"id": "an account"})
        await one.write("user_sessions", session(person, 0) | {"id": "a session"})
        fleet = await one.fleet()
        await one.deliver(fleet)
        assert len(one.mentions("ann-marie")) == 4
        assert (await one.erase(person, fleet)).counts == {
            "users": 1, "user_sessions": 1, "poison_messages": 2,
        }  # fmt: skip
        assert one.mentions("ann-marie") == []


async def test_an_export_that_ends_after_the_erasure_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as one:
        await fill(one, ["ann-marie"])
        fleet = await one.fleet()
        people = one.people(fleet)
        request = await people.export("ann-marie", by="tests")
        upload = one.exports.upload

        async def after_the_erasure(*of: Any, **more: Any) -> None:
            monkeypatch.undo()
            assert (await one.erase("ann-marie")).status is Status.DONE
            await upload(*of, **more)

        monkeypatch.setattr(one.exports, "upload", after_the_erasure)
        ended, _ = await people.advance(request.id)
        assert (ended.status, ended.counts) == (Status.DONE, {})
        ((content, _),) = one.exports.blobs.values()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = {name: archive.read(name) for name in archive.namelist() if name.endswith(".json")}
        assert {text for name, text in files.items() if name != "manifest.json"} == {b"[]\n"}


async def test_many_deleted_accounts_leave_time_for_the_steps_of_erasures() -> None:
    async with world() as one:
        await one.write("users", *(account(f"p{n}", account_status="deleted") for n in range(12)))
        people = one.people(await one.fleet())
        one.now += timedelta(days=31)
        elapsed = 0.0

        def monotonic() -> float:
            nonlocal elapsed
            elapsed += 1.0
            return elapsed

        one.clock.monotonic = monotonic  # type: ignore[method-assign]  # each look at it takes a second
        assert await people.work(12.0) > 4
        requests = [each async for each in people.requests.running()]
        assert 0 < len(requests) < 12
