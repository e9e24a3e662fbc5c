"""Live sample traffic: valid documents at the moment they are asked for, the rest when it is due."""

from __future__ import annotations

from collections import Counter

from local.seed.documents import timestamp
from local.seed.live import LATEST_RATING, OPEN_SESSIONS, LiveTraffic
from local.seed.live_database import LATEST_REVIEW, LiveDatabase
from local.seed.passages import cited_in
from local.seed.traffic import Write
from shared.documents.incidents import parse_incident
from shared.documents.interactions import parse_interaction
from shared.documents.sessions import parse_session
from shared.documents.users import parse_user

NOW = 1_756_650_000_000


def test_questions_carry_the_time_at_which_they_are_asked() -> None:
    traffic = LiveTraffic(users=10, seed=1)
    asked = [traffic.ask(NOW + second * 1000) for second in range(300)]
    assert len({write.document["id"] for write in asked}) == 300
    for second, write in enumerate(asked):
        if write.defect is None:
            parse_interaction(write.document)
            assert write.document["timestamp"] == timestamp(NOW + second * 1000)
    assert max(write.document["sequence_number"] for write in asked) > 1


def test_ratings_come_later_and_once() -> None:
    traffic = LiveTraffic(users=10, seed=2)
    created = {write.document["id"]: write for write in (traffic.ask(NOW) for _ in range(200))}
    assert list(traffic.ratings_due(NOW)) == []
    rated = list(traffic.ratings_due(NOW + LATEST_RATING))
    assert 20 < len(rated) < 180
    assert len({write.document["id"] for write in rated}) == len(rated)
    for write in rated:
        assert write.kind == "replace"
        assert write.lane == created[write.document["id"]].lane
        assert write.document["user_rating"] in range(1, 6)
    assert list(traffic.ratings_due(NOW + LATEST_RATING)) == []


def test_the_same_seed_asks_the_same() -> None:
    first, second = LiveTraffic(5, seed=3), LiveTraffic(5, seed=3)
    assert [first.ask(NOW).document for _ in range(20)] == [second.ask(NOW).document for _ in range(20)]


PARSERS = {
    "user_interactions": parse_interaction,
    "user_sessions": parse_session,
    "abuse_incidents": parse_incident,
    "users": parse_user,
}


def live(seed: int, questions: int) -> list[Write]:
    """What is written while so many questions are asked, one every two seconds, and for some time after."""
    database = LiveDatabase(users=20, seed=seed)
    written = list(database.begin(NOW))
    for second in range(0, 2 * questions, 2):
        moment = NOW + second * 1000
        written += [*database.due(moment), *database.ask(moment)]
    written += database.due(NOW + 2_000 * questions + LATEST_RATING + 2 * LATEST_REVIEW)
    return written


def test_a_live_database_has_everything_that_goes_with_its_questions() -> None:
    written = live(seed=4, questions=2_500)
    seen: set[tuple[str, str]] = set()
    passages: set[str] = set()
    sessions: dict[str, dict] = {}
    asked: Counter[str] = Counter()
    for write in written:
        key = (write.container, write.document["id"])
        assert (key in seen) == (write.kind == "replace"), key
        seen.add(key)
        if write.defect is None and write.container in PARSERS:
            PARSERS[write.container](write.document)
        if write.container == "personality_vectors":
            passages.add(write.document["id"])
        if write.container == "user_interactions" and write.kind == "create":
            asked[write.document["session_id"]] += 1
            assert ("user_sessions", write.document["session_id"]) in seen
            for passage in cited_in(write.document):
                assert f"{passage.persona}_{passage.content_id}" in passages
        if write.container == "user_sessions" and write.kind == "replace" and write.defect is None:
            assert write.document["interaction_count"] == asked[write.document["id"]]
            sessions[write.document["id"]] = write.document
    kinds = Counter((write.container, write.kind) for write in written)
    assert kinds["users", "create"] == 20
    assert kinds["personalities", "create"] == 11
    assert kinds["users", "replace"] > 0
    assert kinds["user_sessions", "replace"] == kinds["user_sessions", "create"] - OPEN_SESSIONS
    assert {session["status"] for session in sessions.values()} > {"completed", "abandoned"}
    incidents = [write.document for write in written if write.container == "abuse_incidents"]
    assert {incident["review_status"] for incident in incidents} > {"pending_human_review", "resolved"}


def test_a_live_database_asks_what_the_live_traffic_of_its_seed_asks() -> None:
    asked = [write for write in live(seed=6, questions=100) if write.container == "user_interactions"]
    traffic = LiveTraffic(users=20, seed=6)
    expected: list[Write] = []
    for second in range(0, 200, 2):
        expected += [*traffic.ratings_due(NOW + second * 1000), traffic.ask(NOW + second * 1000)]
    expected += traffic.ratings_due(NOW + 200_000 + LATEST_RATING + 2 * LATEST_REVIEW)
    assert asked == expected


def test_the_same_seed_writes_the_same_live_database() -> None:
    assert live(seed=8, questions=200) == live(seed=8, questions=200)


def test_a_person_who_left_asks_no_more() -> None:
    database = LiveDatabase(users=2, seed=9)
    list(database.begin(NOW))
    before = [write for second in range(200) for write in database.ask(NOW + second * 1000)]
    assert {write.lane for write in before if write.container == "user_interactions"} == {0, 1}
    database.leave(0)
    after = [write for second in range(200, 400) for write in database.ask(NOW + second * 1000)]
    assert {write.lane for write in after if write.container == "user_interactions"} == {1}


def test_nobody_asks_when_everybody_left() -> None:
    database = LiveDatabase(users=1, seed=9)
    list(database.begin(NOW))
    database.leave(0)
    assert list(database.ask(NOW)) == []
