"""The sample traffic: deterministic, ordered, in the specification's shape, with the habits it claims."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import date
from statistics import mean

import pytest

from local.seed.malformed import DEFECTS, ENORMOUS, break_document, kinds_for
from local.seed.people import INTENSIVE_LEARNER, OCCASIONAL
from local.seed.traffic import TrafficPlan, Write, count_writes, plan_turns, writes
from local.seed.writer import canonical
from shared.documents.interactions import parse_interaction
from shared.errors import DocumentError

PLAN = TrafficPlan(users=40, interactions=1_500, days=28, seed=5)


@pytest.fixture(scope="module")
def traffic() -> list[Write]:
    return list(writes(PLAN))


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    plan = TrafficPlan(users=5, interactions=60, days=7, seed=11)
    script = (
        "import sys; from local.seed.traffic import *; from local.seed.writer import canonical\n"
        "plan = TrafficPlan(users=5, interactions=60, days=7, seed=11)\n"
        "sys.stdout.buffer.write(b''.join(map(canonical, writes(plan))))"
    )
    # Another hash seed: nothing may depend on the order of a set.
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, env={"PYTHONHASHSEED": "99"}
    )
    assert run.stdout == b"".join(map(canonical, writes(plan)))


def test_another_seed_gives_other_people_and_documents(traffic: list[Write]) -> None:
    other = list(writes(TrafficPlan(users=40, interactions=1_500, days=28, seed=6)))
    assert not {write.document["id"] for write in traffic} & {write.document["id"] for write in other}


def test_exactly_the_interactions_asked_for_are_created(traffic: list[Write]) -> None:
    created = [write.document["id"] for write in traffic if write.kind == "create"]
    assert len(created) == len(set(created)) == PLAN.interactions
    assert count_writes(PLAN) == len(traffic)


def test_writes_come_in_the_order_of_their_moments(traffic: list[Write]) -> None:
    moments = [write.moment for write in traffic]
    assert moments == sorted(moments)


def test_a_rating_replaces_the_whole_document_after_its_creation(traffic: list[Write]) -> None:
    known: dict[str, dict] = {}
    ratings = 0
    for write in traffic:
        if write.kind == "create":
            known[write.document["id"]] = write.document
            assert write.defect or write.document.get("user_rating") is None
            continue
        ratings += 1
        before = known[write.document["id"]]
        changed = {name for name, value in write.document.items() if before.get(name) != value}
        # A second rating may repeat the first one: a new version of the document with the same content.
        assert changed <= {"user_rating", "user_feedback"}
        assert before.get("user_rating") is not None or "user_rating" in changed
        assert write.document["user_rating"] in range(1, 6)
        known[write.document["id"]] = {**write.document}
    assert 0.2 < ratings / PLAN.interactions < 0.7


def test_some_ratings_are_changed_later(traffic: list[Write]) -> None:
    replaced = Counter(write.document["id"] for write in traffic if write.kind == "replace")
    assert max(replaced.values()) == 2


def test_valid_documents_pass_the_fleets_own_check_and_have_the_specified_fields(
    traffic: list[Write],
) -> None:
    always = [
        "id", "partition_key", "user_id", "document_type", "interaction_id", "session_id", "sequence_number",
        "timestamp", "response_time_ms", "user_query", "query_metadata", "response_text", "response_metadata",
        "foundational_texts_used", "created_at", "_ttl",
    ]  # fmt: skip
    optional = {
        "processing_stages", "rag_metadata", "user_rating", "user_feedback", "cost_data", "quality_metrics",
    }  # fmt: skip
    left_out: Counter[str] = Counter()
    for write in traffic:
        if write.defect is None:
            parse_interaction(write.document)
            assert set(always) <= set(write.document) <= {*always, *optional}
            left_out.update(optional - set(write.document))
    assert set(left_out) >= {"processing_stages", "rag_metadata", "cost_data", "quality_metrics"}


def test_figures_in_a_document_agree_with_each_other(traffic: list[Write]) -> None:
    for write in traffic:
        if write.defect is not None:
            continue
        document = write.document
        assert document["query_metadata"]["query_length"] == len(document["user_query"])
        assert document["response_metadata"]["response_length"] == len(document["response_text"])
        if "processing_stages" in document:
            assert sum(document["processing_stages"].values()) == document["response_time_ms"]
        if "cost_data" in document:
            assert document["cost_data"]["model_used"] == document["response_metadata"]["model_used"]


def test_sessions_count_their_interactions_in_order(traffic: list[Write]) -> None:
    sessions: defaultdict[str, list[int]] = defaultdict(list)
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for turn_write in (write for write in traffic if write.kind == "create" and write.defect is None):
        document = turn_write.document
        sessions[document["session_id"]].append(document["sequence_number"])
        owners[document["session_id"]].add(document["user_id"])
    assert all(numbers == sorted(set(numbers)) for numbers in sessions.values())
    assert all(len(users) == 1 for users in owners.values())
    assert max(map(len, sessions.values())) >= 5
    assert mean(map(len, sessions.values())) > 1.5


def test_habits_differ_and_days_have_a_rhythm() -> None:
    turns = plan_turns(PLAN)
    per_person = Counter(turn.person.user_id for turn in turns)
    habits = {turn.person.user_id: turn.person.habit for turn in turns}
    intensive = [count for user, count in per_person.items() if habits[user] is INTENSIVE_LEARNER]
    occasional = [count for user, count in per_person.items() if habits[user] is OCCASIONAL]
    assert mean(intensive) > 4 * mean(occasional)
    local_hours = Counter(
        (turn.session_start // 60_000 + turn.person.utc_offset_minutes) // 60 % 24
        for turn in turns
        if turn.sequence == 1
    )
    night = sum(local_hours[hour] for hour in (1, 2, 3, 4))
    evening = sum(local_hours[hour] for hour in (18, 19, 20, 21))
    assert evening > 3 * night


def test_sessions_begin_inside_the_period() -> None:
    plan = TrafficPlan(users=20, interactions=400, days=3, seed=3, until=date(2024, 3, 1))
    for turn in plan_turns(plan):
        assert plan.start <= turn.session_start < plan.end
    assert plan.end - plan.start == 3 * 86_400_000


def test_the_share_of_malformed_documents_is_as_asked_and_has_every_kind() -> None:
    plan = TrafficPlan(users=10, interactions=1_000, days=5, seed=2, malformed_share=0.02)
    defects = Counter(write.defect for write in writes(plan) if write.defect)
    assert defects.total() == 20
    assert set(defects) == {*DEFECTS, ENORMOUS}


def test_no_malformed_documents_if_none_are_asked_for() -> None:
    plan = TrafficPlan(users=3, interactions=50, days=5, seed=2, malformed_share=0)
    assert all(write.defect is None for write in writes(plan))


@pytest.mark.parametrize("kind", [*DEFECTS, ENORMOUS])
def test_every_defect_is_storable_json_that_the_fleet_refuses(kind: str) -> None:
    plan = TrafficPlan(users=1, interactions=1, days=1, seed=1, malformed_share=0)
    valid = next(writes(plan)).document
    before = json.dumps(valid)
    broken = break_document(valid, kind)
    assert json.dumps(valid) == before, "the valid document must stay as it was"
    text = json.dumps(broken, allow_nan=False)
    assert len(text.encode()) < 2 * 1024 * 1024
    assert isinstance(broken["id"], str)
    with pytest.raises(DocumentError):
        parse_interaction(broken)


def test_the_enormous_document_comes_once_at_most() -> None:
    assert kinds_for(100).count(ENORMOUS) == 1
    assert len(kinds_for(100)) == 100


@pytest.mark.parametrize("field", ["users", "interactions", "days"])
def test_a_plan_of_nothing_is_refused(field: str) -> None:
    values = {"users": 1, "interactions": 1, "days": 1, field: 0}
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        TrafficPlan(**values, seed=1)
