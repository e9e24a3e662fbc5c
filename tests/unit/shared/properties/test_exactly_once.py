"""Whatever is delivered, how often, in which order and with which failures: each document counts once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.cosmos.retries import UnavailableError
from shared.facts import Uncounted
from shared.ledger.changes import Verdict
from shared.ledger.shards import shard_of
from shared.ledger.state import decode_state
from tests.fakes import FakeContainer, Killed
from tests.unit.shared.delivery import Document, Faults, Instance, faults, no_pauses, survive

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)

START = datetime(2025, 8, 1, tzinfo=UTC)

documents = st.fixed_dictionaries(
    {
        "id": st.sampled_from([f"i{n}" for n in range(6)]),
        "user_id": st.sampled_from(["ann", "bob", "cid"]),
        # Hours of two months: corrections move documents between pages, days and months.
        "hours": st.sampled_from([0, 1, 23, 24, 25, 31 * 24, 31 * 24 + 1]),
        "session_id": st.sampled_from(["s1", "s2", None]),
        "model": st.sampled_from(["gemini-2.5-flash", "gemini-2.5-pro", "mystery"]),
        "tokens": st.sampled_from([0, 1, 250_000]),
        "rating": st.sampled_from([None, 1, 5]),
        "text": st.sampled_from(["bhagavad_gita", None]),
        "malformed": st.sampled_from([False] * 9 + [True]),
    }
)


def written(spec: dict[str, Any], number: int, second: int) -> dict[str, Any]:
    """Return the document as the service stores the ``number``-th write."""
    moment = (START + timedelta(hours=spec["hours"], minutes=number % 60)).isoformat()
    texts = [{"source": spec["text"], "chapter": "2", "verse": "47"}] if spec["text"] else None
    return {
        "id": spec["id"],
        "user_id": spec["user_id"],
        "session_id": spec["session_id"],
        "timestamp": "never" if spec["malformed"] else moment,
        "response_text": "…",
        "response_time_ms": 100 + number,
        "user_rating": spec["rating"],
        "foundational_texts_used": texts,
        "response_metadata": {"personality_used": "krishna"},
        "cost_data": {
            "model_used": spec["model"],
            "input_tokens": spec["tokens"],
            "output_tokens": number,
        },
        "_ts": 1_760_000_000 + second,
        "_lsn": number,
        "_etag": f'"{number}"',
    }


def expected_state(final: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Counter[str]]]:
    """Compute from scratch what a selection of maps must hold, by view and key."""
    state: dict[tuple[str, str], dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    per_token = {"gemini-2.5-flash": (300, 2500), "gemini-2.5-pro": (1250, 10000)}
    days_of: dict[str, set[str]] = defaultdict(set)
    sessions: set[tuple[str, str, str]] = set()
    for document in final:
        moment = datetime.fromisoformat(document["timestamp"])
        day, user = f"{moment:%Y-%m-%d}", document["user_id"]
        usage = document["cost_data"]
        daily, monthly = state["day", day], state["person_month", f"{moment:%Y%m}|{user}"]
        model = usage["model_used"].replace(".", "-")
        daily["model_requests"][model] += 1
        daily["model_tokens_in"][model] += usage["input_tokens"]
        daily["sums"]["interactions"] += 1
        daily["sums"]["response_ms"] += document["response_time_ms"]
        monthly["sums"]["interactions"] += 1
        price = per_token.get(usage["model_used"])
        if price:
            if usage["model_used"] == "gemini-2.5-pro" and usage["input_tokens"] > 200_000:
                price = (2500, 15000)
            cost = usage["input_tokens"] * price[0] + usage["output_tokens"] * price[1]
            daily["model_cost"][model] += cost
            monthly["sums"]["cost"] += cost
        if document["user_rating"]:
            daily["sums"]["rating"] += document["user_rating"]
            monthly["sums"]["rating"] += document["user_rating"]
        if document["foundational_texts_used"]:
            daily["texts"]["bhagavad_gita"] += 1
        if document["session_id"]:
            sessions.add((day, user, document["session_id"]))
        days_of[user].add(day)
    for day, _, _ in sessions:
        state["day", day]["sums"]["sessions"] += 1
    for days in days_of.values():
        for day in days:
            state["day", day]["sums"]["active_users"] += 1
        state["day", min(days)]["sums"]["new_users"] += 1
    return state


def stored_state(container: FakeContainer) -> dict[tuple[str, str], dict[str, Counter[str]]]:
    """Return the sums and counts of all partials, summed over the shards. Means are split into both."""
    state: dict[tuple[str, str], dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for item in container.items.values():
        if item["kind"] == "partial" and item["aggregate"] in ("day", "person_month"):
            # A person's month has a part per day.
            for tally in (item["state"], *item["state"].get("parts", {}).values()):
                add_tally(state[item["aggregate"], item["key"]], tally)
    return state


def add_tally(into: dict[str, Counter[str]], tally: Mapping[str, Any]) -> None:
    into["sums"].update(tally.get("sums", {}))
    into["sums"].update({name: total for name, (total, _) in tally.get("means", {}).items()})
    for name, counts in tally.get("counts", {}).items():
        into[name].update(counts)
    for name, means in tally.get("means_by", {}).items():
        into[name].update({key: total for key, (total, _) in means.items()})


def assert_counted_once(container: FakeContainer, final: list[dict[str, Any]]) -> None:
    expected, stored = expected_state(final), stored_state(container)
    assert {key for key, maps in stored.items() if maps["sums"]["interactions"]} == expected.keys()
    for key, maps in expected.items():
        for name, counts in maps.items():
            kept = {k: stored[key][name][k] for k in counts}
            assert kept == counts, (key, name)
    for key, maps in stored.items():
        if key not in expected:
            assert not any(any(counts.values()) for counts in maps.values()), key
    on_pages = [
        (user_id, document_id)
        for item in container.items.values()
        if item["kind"] == "ledger"
        for user_id, document_id, entry in decode_state(item)  # type: ignore[union-attr]
        if not isinstance(entry.fact, Uncounted)
    ]
    assert sorted(on_pages) == sorted((d["user_id"], d["id"]) for d in final)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    specs=st.lists(documents, min_size=1, max_size=14),
    # The service's clock, now and then set back.
    seconds=st.lists(st.sampled_from([0, 0, 0, 1, 2, -3]), min_size=14, max_size=14),
    batch_size=st.integers(1, 6),
    plan=faults,
    seed=st.integers(0, 2**16),
)
def test_state_equals_the_fold_of_the_final_documents(
    specs: list[dict[str, Any]], seconds: list[int], batch_size: int, plan: list[str], seed: int
) -> None:
    asyncio.run(deliver(specs, seconds, batch_size, plan, random.Random(seed)))


async def deliver(
    specs: list[dict[str, Any]], seconds: list[int], batch_size: int, plan: list[str], dice: random.Random
) -> None:
    clock, history, final = 0, [], {}
    for number, spec in enumerate(specs):
        clock += seconds[number]
        version = written(spec, number, clock)
        history.append(version)
        final[spec["user_id"], spec["id"]] = version
    # Old versions arrive late, twice, and after newer ones; some batches are lost altogether.
    deliveries = history + dice.choices(history, k=len(history))
    dice.shuffle(deliveries)
    batches = [deliveries[start : start + batch_size] for start in range(0, len(deliveries), batch_size)]
    container = FakeContainer(fault=Faults(plan))
    instances = [Instance(container, final), Instance(container, final)]

    async def hand_over(who: int, batch: list[Document]) -> None:
        try:
            await instances[who].ingest(batch)
        except Killed:
            # Its caches are gone; the batch comes again, elsewhere.
            instances[who] = Instance(container, final)
            await survive(Instance(container, final), batch, container)
        except UnavailableError:
            await survive(instances[who], batch, container)

    while batches:
        one, *other = (batches.pop() for _ in range(min(len(batches), dice.choice([1, 1, 2]))))
        if dice.random() < 0.15:
            continue
        who = dice.randrange(2)
        # Two at a time meet in the same shards.
        await asyncio.gather(hand_over(who, one), *(hand_over(1 - who, batch) for batch in other))
    # The auditor reads the feed from the start: the final version of every document, once.
    container.fault = Faults([])
    await instances[0].ingest(list(final.values()))
    counted = [document for document in final.values() if document["timestamp"] != "never"]
    assert_counted_once(container, counted)
    # Nothing changes any more. An instance that remembers an older page may have to ask the live document.
    assert set(await instances[1].ingest(list(final.values()))) <= {Verdict.SAME, Verdict.UNKNOWN}
    assert_counted_once(container, counted)
    assert set(await Instance(container, final).ingest(list(final.values()))) <= {Verdict.SAME}


PLAIN = {
    "id": "i", "user_id": "ann", "hours": 1, "session_id": "s1", "model": "gemini-2.5-flash",
    "tokens": 1, "rating": 5, "text": None, "malformed": False,
}  # fmt: skip


async def test_a_document_that_turns_malformed_is_taken_back_until_it_can_be_read_again() -> None:
    container = FakeContainer()
    instance = Instance(container)
    good, bad = written(PLAIN, 1, 1), written(PLAIN | {"malformed": True}, 2, 2)
    assert await instance.ingest([good]) == {Verdict.ADDED: 1}
    assert await instance.ingest([bad]) == {Verdict.UNCOUNTED: 1}
    assert_counted_once(container, [])
    assert await Instance(container).ingest([good]) == {Verdict.OLDER: 1}
    assert_counted_once(container, [])
    # A later release reads the very same version.
    readable = bad | {"timestamp": good["timestamp"]}
    assert await instance.ingest([readable]) == {Verdict.REPLACED: 1}
    assert_counted_once(container, [readable])
    # And the release before it, still running elsewhere, does not take it back.
    assert await Instance(container).ingest([bad]) == {Verdict.SAME: 1}
    assert_counted_once(container, [readable])


async def test_a_good_version_that_comes_after_a_newer_malformed_one_is_not_counted() -> None:
    container = FakeContainer()
    good, bad = written(PLAIN, 1, 1), written(PLAIN | {"malformed": True}, 2, 2)
    assert await Instance(container).ingest([bad]) == {Verdict.UNCOUNTED: 1}
    assert await Instance(container).ingest([good]) == {Verdict.OLDER: 1}
    assert_counted_once(container, [])


@pytest.mark.parametrize("change", [{"malformed": True}, {"hours": 25}])
async def test_a_page_that_another_instance_wrote_to_hides_nothing(change: dict[str, Any]) -> None:
    container = FakeContainer()
    one, two = Instance(container), Instance(container)
    person, other = (u for u in ("ann", "bob", "cid") if shard_of(u, shards=2, generation=1) == "1:0001")
    neighbour = written(PLAIN | {"user_id": other}, 1, 1)
    await one.ingest([neighbour])  # now it has the page of the hour in its cache
    await two.ingest([written(PLAIN | {"user_id": person}, 2, 2)])
    final = written(PLAIN | {"user_id": person} | change, 3, 3)
    await one.ingest([final])
    assert_counted_once(container, [neighbour] if "malformed" in change else [neighbour, final])


async def test_two_instances_fold_into_one_shard_at_the_same_time() -> None:
    container = FakeContainer()
    history = [
        written(spec, number, number)
        for number, spec in enumerate(
            {
                "id": f"i{n}", "user_id": "ann", "hours": n % 3, "session_id": "s1",
                "model": "gemini-2.5-flash", "tokens": n, "rating": 5, "text": None, "malformed": False,
            }
            for n in range(60)
        )
    ]  # fmt: skip
    one, two = Instance(container), Instance(container)
    await asyncio.gather(
        *(
            instance.ingest(history[start : start + 10])
            for start in range(0, 60, 10)
            for instance in (one, two)
        )
    )
    assert_counted_once(container, history)
    assert one.conflicts + two.conflicts > 0


async def test_an_hour_with_many_documents_goes_on_in_further_parts() -> None:
    container = FakeContainer()
    spec = {
        "user_id": "ann", "hours": 1, "session_id": "s1", "model": "gemini-2.5-flash",
        "tokens": 1, "rating": None, "text": None, "malformed": False,
    }  # fmt: skip
    first = [written(spec | {"id": f"i{n}"}, n, n) for n in range(1_100)]
    await Instance(container).ingest(first)
    rated = [written(spec | {"id": f"i{n}", "rating": 4}, 1000 + n, 1000 + n) for n in range(0, 1_100, 7)]
    await Instance(container).ingest(rated)
    final = {document["id"]: document for document in first + rated}
    assert_counted_once(container, list(final.values()))
    parts = [item for item in container.items.values() if item["kind"] == "ledger"]
    assert len(parts) > 2


async def test_too_many_people_for_one_transaction_are_folded_in_several() -> None:
    container = FakeContainer()
    history = [
        written(
            {
                "id": "i", "user_id": f"user{n}", "hours": 1, "session_id": None,
                "model": "mystery", "tokens": 1, "rating": None, "text": None, "malformed": False,
            },
            n,
            n,
        )
        for n in range(300)
    ]  # fmt: skip
    await Instance(container).ingest(history)
    assert container.requests.count("batch") > 2
    assert_counted_once(container, history)
