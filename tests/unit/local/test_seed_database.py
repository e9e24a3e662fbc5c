"""The whole sample database: deterministic, ordered, complete and in agreement with itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import datetime
from hashlib import sha256

import pytest

from local.seed.database import CONTENT, count_database_writes, database_writes
from local.seed.incidents import SEVERITIES, TYPES
from local.seed.passages import DIMENSIONS, VECTORS, cited_in
from local.seed.personas import PERSONAS
from local.seed.traffic import TrafficPlan, Write, plan_people, writes
from local.seed.writer import canonical
from shared.documents.incidents import parse_incident
from shared.documents.sessions import parse_session
from shared.documents.users import parse_user
from shared.facts import Passage

Document = dict

PLAN = TrafficPlan(users=60, interactions=4_000, days=28, seed=5)


@pytest.fixture(scope="module")
def traffic() -> list[Write]:
    return list(database_writes(PLAN))


def of(traffic: list[Write], container: str, kind: str | None = None) -> list[Write]:
    return [write for write in traffic if write.container == container and kind in (None, write.kind)]


def final(traffic: list[Write], container: str) -> dict[str, Document]:
    return {write.document["id"]: write.document for write in of(traffic, container)}


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_the_interactions_of_a_seed_are_what_they_were_before_there_was_anything_else() -> None:
    digest = sha256()
    for write in writes(TrafficPlan(users=12, interactions=300, days=9, seed=1)):
        digest.update(f"{write.kind} {write.moment} {write.lane} {json.dumps(write.document)}\n".encode())
    assert digest.hexdigest() == "dd599f0219148626bbab4113a0346bddeb4c42342c9fdd8025a63cea27cd007e"


def test_interactions_are_those_of_the_traffic_alone(traffic: list[Write]) -> None:
    assert of(traffic, "user_interactions") == list(writes(PLAN))


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    plan = TrafficPlan(users=20, interactions=150, days=7, seed=11)
    script = (
        "import sys; from local.seed.database import *; from local.seed.writer import canonical\n"
        "plan = TrafficPlan(users=20, interactions=150, days=7, seed=11)\n"
        "sys.stdout.buffer.write(b''.join(map(canonical, database_writes(plan))))"
    )
    # Another hash seed: nothing may depend on the order of a set.
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, env={"PYTHONHASHSEED": "99"}
    )
    assert run.stdout == b"".join(map(canonical, database_writes(plan)))


def test_another_seed_gives_other_sessions_incidents_and_accounts() -> None:
    first, second = (
        list(database_writes(TrafficPlan(users=20, interactions=300, days=7, seed=seed))) for seed in (1, 2)
    )
    for container in ("users", "user_sessions"):
        assert not set(final(first, container)) & set(final(second, container))
    assert final(first, "abuse_incidents") != final(second, "abuse_incidents")


def test_writes_come_in_the_order_of_their_moments_and_are_counted(traffic: list[Write]) -> None:
    moments = [write.moment for write in traffic if write.container not in CONTENT]
    assert moments == sorted(moments)
    assert count_database_writes(PLAN) == len(traffic) - len(of(traffic, VECTORS))


def test_every_document_is_created_once_and_replaced_afterwards(traffic: list[Write]) -> None:
    known: dict[tuple[str, str], int] = {}
    for write in traffic:
        key = (write.container, write.document["id"])
        assert (key in known) == (write.kind == "replace"), key
        assert known.setdefault(key, write.lane) == write.lane, "it would not keep its order"


# --- sessions -----------------------------------------------------------------------------------------------


def test_every_session_of_the_interactions_is_there_and_agrees_with_them(traffic: list[Write]) -> None:
    asked: defaultdict[str, list[Document]] = defaultdict(list)
    for write in of(traffic, "user_interactions", "create"):
        asked[write.document["session_id"]].append({**write.document, "moment": write.moment / 1000})
    broken = {write.document["id"] for write in of(traffic, "user_sessions") if write.defect}
    sessions = final(traffic, "user_sessions")
    assert set(sessions) == set(asked)
    for name, session in sessions.items():
        if name in broken:
            continue
        own = asked[name]
        took = [interaction["response_time_ms"] for interaction in own]
        assert session["session_id"] == name
        owners = {one["user_id"] for one in own if isinstance(one.get("user_id"), str)}
        assert owners <= {session["user_id"]}
        assert session["interaction_count"] == len(own)
        assert session["total_response_time_ms"] == sum(took)
        assert session["avg_response_time_ms"] == round(sum(took) / len(own))
        assert session["personalities_engaged"] == list(
            dict.fromkeys(interaction["response_metadata"]["personality_used"] for interaction in own)
        )
        cited = [
            citation["source"]
            for interaction in own
            if isinstance(interaction["foundational_texts_used"], list)
            for citation in interaction["foundational_texts_used"]
        ]
        assert session["foundational_texts_accessed"] == list(dict.fromkeys(cited))
        assert session["citation_interactions"] <= len(cited)
        answered = max(one["moment"] + one["response_time_ms"] / 1000 for one in own)
        assert at(session["start_time"]) <= own[0]["moment"]
        assert at(session["last_activity"]) >= answered - 0.001
        if session["status"] == "active":
            assert session["end_time"] is session["duration_seconds"] is session["completion_reason"] is None
        else:
            assert at(session["end_time"]) >= answered - 0.001
            length = at(session["end_time"]) - at(session["start_time"])
            assert session["duration_seconds"] == pytest.approx(length, abs=0.51)


def test_a_sessions_satisfaction_is_that_of_the_ratings_that_came_before_its_end(
    traffic: list[Write],
) -> None:
    rated: defaultdict[str, dict[str, int]] = defaultdict(dict)
    compared = 0
    for write in traffic:
        document = write.document
        if write.container == "user_interactions" and write.kind == "replace":
            rated[document["session_id"]][document["id"]] = document["user_rating"]
        if write.container == "user_sessions" and write.kind == "replace" and not write.defect:
            ratings = list(rated[document["id"]].values())
            expected = round(sum(ratings) / len(ratings), 2) if ratings else None
            assert document["user_satisfaction_rating"] == expected
            compared += bool(ratings)
    assert compared > 20


def test_a_session_is_active_first_and_most_are_completed_later(traffic: list[Write]) -> None:
    for write in of(traffic, "user_sessions", "create"):
        parse_session(write.document)
        assert (write.document["status"], write.document["end_time"]) == ("active", None)
        assert write.document["interaction_count"] == 0
    ended = of(traffic, "user_sessions", "replace")
    statuses = Counter(write.document["status"] for write in ended)
    assert set(statuses) == {"active", "completed", "abandoned", "expired"}
    assert statuses["completed"] > 0.6 * len(ended)
    begun = {write.document["id"]: write.document for write in of(traffic, "user_sessions", "create")}
    for write in ended:
        if write.defect:
            continue
        parse_session(write.document)
        before = begun[write.document["id"]]
        for field in ("session_token", "start_time", "device_info", "location_context", "created_at"):
            assert write.document[field] == before[field]


# --- incidents ----------------------------------------------------------------------------------------------


def test_incidents_point_at_interactions_written_before_later_and_never(traffic: list[Write]) -> None:
    written: set[str] = set()
    early: set[str] = set()
    pointing: Counter[str] = Counter()
    for write in traffic:
        if write.container == "user_interactions" and write.kind == "create":
            written.add(write.document["id"])
        if write.container == "abuse_incidents" and write.kind == "create":
            target = write.document.get("interaction_id")
            if target is None:
                pointing["at none"] += 1
            elif target in written:
                pointing["at one before"] += 1
            else:
                early.add(target)
    pointing["at one after"] = len(early & written)
    pointing["at nothing"] = len(early - written)
    assert pointing.total() == PLAN.interactions // 100
    assert min(pointing.values()) >= 2
    assert pointing["at one before"] > pointing["at one after"] > pointing["at nothing"]


def test_incidents_are_of_every_kind_and_some_are_resolved_later(traffic: list[Write]) -> None:
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for seed in range(3):
        plan = TrafficPlan(users=60, interactions=4_000, days=28, seed=seed)
        for write in database_writes(plan) if seed else traffic:
            if write.container != "abuse_incidents" or write.defect:
                continue
            document = write.document
            parse_incident(document)
            for field in ("incident_type", "severity", "review_status", "review_decision"):
                seen[field][document[field]] += 1
            seen["action"].update(action["action_type"] for action in document["actions_taken"])
            ended = document["resolution"]["resolution_timestamp"]
            assert (ended is not None) == (document["review_status"] in ("resolved", "auto_resolved"))
            assert ended is None or at(ended) > at(document["created_at"])
    assert set(seen["incident_type"]) == {name for name, _ in TYPES}
    assert set(seen["severity"]) == {name for name, _ in SEVERITIES}
    assert set(seen["review_status"]) == {
        "auto_resolved", "pending_human_review", "under_investigation", "resolved",
    }  # fmt: skip
    assert set(seen["review_decision"]) == {"", "false_positive", "confirmed_violation", "escalate"}
    assert set(seen["action"]) == {
        "warning_issued", "content_blocked", "account_suspended", "educational_content_provided",
    }  # fmt: skip


def test_incidents_belong_to_the_person_and_session_they_are_about(traffic: list[Write]) -> None:
    interactions = {
        write.document["id"]: write.document
        for write in of(traffic, "user_interactions", "create")
        if not write.defect
    }
    for document in final(traffic, "abuse_incidents").values():
        about = interactions.get(document.get("interaction_id", ""))
        if about is not None and "user_id" in document:
            assert document["user_id"] == about["user_id"]
            assert document["session_id"] == about["session_id"]


# --- accounts -----------------------------------------------------------------------------------------------


def test_everybody_has_one_account_made_before_the_first_question(traffic: list[Write]) -> None:
    people = plan_people(PLAN)
    accounts = {account["user_id"]: account for account in final(traffic, "users").values()}
    assert set(accounts) == {person.user_id for person in people}
    assert len(final(traffic, "users")) == len(people)
    first: dict[str, int] = {}
    for write in of(traffic, "user_interactions", "create"):
        if write.defect is None:
            first.setdefault(write.document["user_id"], write.moment)
    for user_id, account in accounts.items():
        parse_user(account)
        assert at(account["created_at"]) * 1000 < first[user_id]
        assert account["email"].endswith("@example.com")


def test_one_in_twenty_refuses_and_some_change_their_mind_either_way(traffic: list[Write]) -> None:
    begun = {write.document["id"]: write.document for write in of(traffic, "users", "create")}
    refusing = {name for name, one in begun.items() if not one["privacy_settings"]["analytics_consent"]}
    assert len(refusing) == 3
    changed = of(traffic, "users", "replace")
    assert len(changed) == 3
    assert {write.document["id"] in refusing for write in changed} == {True, False}
    for write in changed:
        now, before = write.document, begun[write.document["id"]]
        differing = {name for name in now if now[name] != before[name]}
        assert differing == {"privacy_settings", "updated_at", "last_login"}
        consents = {one["privacy_settings"]["analytics_consent"] for one in (now, before)}
        assert consents == {True, False}


# --- content ------------------------------------------------------------------------------------------------


def test_there_is_one_configuration_per_persona_and_it_names_its_texts(traffic: list[Write]) -> None:
    configurations = final(traffic, "personalities")
    assert set(configurations) == {persona.name for persona in PERSONAS}
    for persona in PERSONAS:
        sources = configurations[persona.name]["primary_sources"]
        assert sources == [text.source for text, _ in persona.sources]


def test_exactly_the_passages_that_are_cited_are_there_before_they_are(traffic: list[Write]) -> None:
    stored: set[str] = set()
    cited: set[str] = set()
    for write in traffic:
        if write.container == VECTORS:
            stored.add(write.document["id"])
        if write.container == "user_interactions":
            for passage in cited_in(write.document):
                name = f"{passage.persona}_{Passage(*passage[1:]).content_id}"
                assert name in stored
                cited.add(name)
    assert stored == cited


def test_a_passage_is_named_as_the_specification_does(traffic: list[Write]) -> None:
    vectors = final(traffic, VECTORS)
    verse = vectors["krishna_bhagavad_gita_1_1"]
    assert verse["partition_key"] == "krishna::bhagavad_gita"
    assert verse["content_id"] == "bhagavad_gita_1_1"
    assert (verse["source_metadata"]["chapter"], verse["source_metadata"]["verse"]) == ("1", "1")
    for document in vectors.values():
        assert len(document["embeddings"]["text_embedding_ada_002"]) == DIMENSIONS
        assert not any(document["usage_metrics"].values())
        assert document["topic_tags"]
    assert {document["content_category"] for document in vectors.values()} == {"verse", "chapter", "text"}


def test_no_malformed_documents_if_none_are_asked_for() -> None:
    plan = TrafficPlan(users=30, interactions=1_200, days=5, seed=2, malformed_share=0)
    assert all(write.defect is None for write in database_writes(plan))


def test_people_who_never_ask_have_an_account_all_the_same() -> None:
    plan = TrafficPlan(users=30, interactions=5, days=3, seed=1)
    traffic = list(database_writes(plan))
    assert len(final(traffic, "users")) == 30
    assert len(of(traffic, "user_interactions", "create")) == 5
