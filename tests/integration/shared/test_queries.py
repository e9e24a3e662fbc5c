"""Queries through the real SDK: what they return, what they send, and what they refuse to send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from azure.cosmos.aio import CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.containers import container
from shared.cosmos.charges import measured_cost
from shared.cosmos.provisioning import apply_containers
from shared.errors import QueryError, TooManyRowsError
from shared.queries import ComprehensiveAdminService, DatabaseService, OptimizedQueries
from shared.queries.database import ANALYTICS_CONTAINERS
from shared.queries.reading import Rows
from tests.cosmos_server import ServerProcess
from tests.fake_clock import FakeClock
from tests.integration.shared.query_data import (
    ANN,
    BEN,
    CID,
    DOT,
    NOW,
    documents,
    interaction,
    text,
    write,
)

DATABASE = "queries"


@dataclass
class Wire:
    """What the SDK sent: the requests for rows, and those for a plan."""

    queries: list[dict[str, str]] = field(default_factory=list)
    plans: int = 0

    def saw(self, response: Any) -> None:
        headers = {name.lower(): value for name, value in response.http_request.headers.items()}
        if headers.get("x-ms-cosmos-is-query-plan-request", "").lower() == "true":
            self.plans += 1
        elif headers.get("x-ms-documentdb-isquery", "").lower() == "true":
            self.queries.append(headers)

    def forget(self) -> None:
        self.queries.clear()
        self.plans = 0

    @property
    def partition_keys(self) -> list[str | None]:
        return [headers.get("x-ms-documentdb-partitionkey") for headers in self.queries]


@pytest.fixture(scope="module")
def seeded(server: ServerProcess) -> ServerProcess:
    async def seed() -> None:
        async with CosmosClient.from_connection_string(server.connection_string) as client:
            database = await client.create_database_if_not_exists(DATABASE)
            data = documents()
            await apply_containers(database, [container(name) for name in data])
            await write(database, data)

    asyncio.run(seed())
    return server


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
async def client(seeded: ServerProcess, wire: Wire) -> AsyncIterator[CosmosClient]:
    async with CosmosClient.from_connection_string(
        seeded.connection_string, raw_response_hook=wire.saw
    ) as connected:
        yield connected


@pytest.fixture
def database(client: CosmosClient) -> DatabaseProxy:
    return client.get_database_client(DATABASE)


@pytest.fixture
def optimized(database: DatabaseProxy) -> OptimizedQueries:
    return OptimizedQueries(database, clock=FakeClock(lambda: NOW))


@pytest.fixture
def service(database: DatabaseProxy) -> DatabaseService:
    return DatabaseService(database, clock=FakeClock(lambda: NOW))


SINGLE: dict[str, tuple[str, Callable[[DatabaseService], Awaitable[Any]]]] = {
    "user_analytics": (ANN, lambda s: s.optimized.get_user_analytics_efficient(ANN)),
    "content_popularity": ("daily", lambda s: s.optimized.get_trending_content()),
    "user_interactions": (ANN, lambda s: s.optimized.get_user_interaction_history(ANN)),
    "incidents_by_content": (
        "bhagavad_gita",
        lambda s: s.optimized.get_incidents_by_content_for_admin("bhagavad_gita"),
    ),
    "personalities": ("krishna", lambda s: s.get_personality_config("krishna")),
    "users": (ANN, lambda s: s.get_user_profile(ANN)),
    "user_sessions": (ANN, lambda s: s.get_user_sessions(ANN)),
}


@pytest.mark.parametrize("name", SINGLE)
async def test_a_query_by_key_is_one_request_to_its_partition(
    name: str, service: DatabaseService, wire: Wire
) -> None:
    key, ask = SINGLE[name]

    with measured_cost() as charge:
        assert await ask(service)

    assert wire.partition_keys == [json.dumps([key])]
    assert wire.plans == 0
    assert charge.requests == 1
    assert charge.request_units > 0


async def test_without_a_key_all_physical_partitions_are_asked(service: DatabaseService, wire: Wire) -> None:
    rows = await service.query_documents("users", "SELECT c.user_id FROM c")

    assert {row["user_id"] for row in rows} == {ANN, BEN, CID, DOT}
    assert set(wire.partition_keys) == {None}
    assert len(wire.queries) >= 2


async def test_the_newest_analytics_of_a_period(optimized: OptimizedQueries) -> None:
    monthly = await optimized.get_user_analytics_efficient(ANN)
    daily = await optimized.get_user_analytics_efficient(ANN, "daily")

    assert [row["period_start"] for row in monthly] == ["2025-08-01T00:00:00Z"]
    assert [row["period_start"] for row in daily] == ["2025-08-05T00:00:00Z"]
    assert await optimized.get_user_analytics_efficient("nobody") == []


async def test_trending_content_counts_rankings(optimized: OptimizedQueries) -> None:
    two = await optimized.get_trending_content(limit=2)
    weekly = await optimized.get_trending_content("weekly")

    assert [row["top_foundational_texts"][0]["source"] for row in two] == [
        "daily 2025-08-05",
        "daily 2025-08-04",
    ]
    assert [set(row) for row in weekly] == [{"top_foundational_texts", "trending_content"}]


async def test_history_holds_the_whole_first_second_and_nothing_before(optimized: OptimizedQueries) -> None:
    rows = await optimized.get_user_interaction_history(ANN, days=7)

    assert rows[0]["interaction_id"] == "newest"
    assert {row["interaction_id"] for row in rows} == {"newest", "in-the-first-second", "without-fraction"}
    assert set(rows[0]) == {
        "interaction_id",
        "timestamp",
        "user_query",
        "response_metadata",
        "user_rating",
    }


async def test_history_is_bounded(optimized: OptimizedQueries, database: DatabaseProxy) -> None:
    busy = f"busy-{uuid4().hex}"
    moments = [text(NOW.replace(second=n)) for n in range(12)]
    await write(database, {"user_interactions": [interaction(f"{busy}-{m}", busy, m) for m in moments]})

    rows = await optimized.get_user_interaction_history(busy, limit=5)

    assert [row["timestamp"] for row in rows] == sorted(moments, reverse=True)[:5]


async def test_what_is_beyond_the_limit_is_read_with_continuations(
    service: DatabaseService, database: DatabaseProxy
) -> None:
    people = {f"busy-{uuid4().hex}": size for size in (0, 1, 5, 10, 23)}
    moments = [text(NOW.replace(second=n)) for n in range(23)]
    for user, size in people.items():
        asked = [interaction(f"{user}-{m}", user, m) for m in moments[:size]]
        sessions = [{"id": f"{user}-{m}", "user_id": user, "session_id": m, "start_time": m} for m in moments]
        await write(database, {"user_interactions": asked, "user_sessions": sessions[:size]})

    async def all_pages(read: Callable[..., Awaitable[Rows]], user: str) -> list[str]:
        found, continuation = list[str](), None
        while True:
            page = await read(user, limit=5, continuation=continuation)
            found += [row.get("timestamp") or row["start_time"] for row in page]
            assert len(page) == 5 or page.continuation is None
            if (continuation := page.continuation) is None:
                return found

    for read in (service.get_user_interactions, service.get_user_sessions):
        # At the same time: no query may go on where another one ended.
        found = await asyncio.gather(*(all_pages(read, user) for user in people))
        assert found == [moments[:size][::-1] for size in people.values()]


@pytest.mark.parametrize("wrong", ["", "a\nb", "\u00fc", "x" * 20_000, 7])
async def test_what_is_no_continuation_is_refused_before_it_is_sent(
    wrong: Any, service: DatabaseService, wire: Wire
) -> None:
    with pytest.raises(QueryError, match=r"^continuation: .* is none that a query returned$"):
        await service.get_user_sessions(ANN, continuation=wrong)
    assert wire.queries == []


async def test_a_continuation_of_nothing_is_refused(service: DatabaseService) -> None:
    with pytest.raises(QueryError, match=r"^continuation: is not one of this query's"):
        await service.get_user_interactions(ANN, continuation="made up")


async def test_incidents_by_month_of_one_text(optimized: OptimizedQueries) -> None:
    rows = await optimized.get_incidents_by_content_for_admin("bhagavad_gita")

    assert [row["incident_summary"]["total_incidents"] for row in rows] == [8, 7]
    assert set(rows[0]) == {"incident_summary", "content_analysis", "moderation_actions"}
    assert await optimized.get_incidents_by_content_for_admin("ramayana") == []


INJECTIONS = (
    "' OR '1'='1",
    "x' OR true --",
    '" OR 1=1 OR "" = "',
    "e45d45fe-ann' UNION SELECT * FROM c",
    "@user_id",
    "c.user_id",
    "\\' OR 1=1 --",
    "null",
    "ॐ; SELECT VALUE c FROM c",
)


@pytest.mark.parametrize("hostile", INJECTIONS)
async def test_a_parameter_is_a_value_and_nothing_else(
    hostile: str, service: DatabaseService, wire: Wire
) -> None:
    optimized = service.optimized
    assert await optimized.get_user_analytics_efficient(hostile) == []
    assert await optimized.get_user_interaction_history(hostile) == []
    assert await optimized.get_incidents_by_content_for_admin(hostile) == []
    assert await service.get_personality_config(hostile) is None
    assert await service.get_user_profile(hostile) is None
    assert await service.get_user_sessions(hostile) == []
    keys = [json.loads(key or "[]") for key in wire.partition_keys]
    without = [{}]  # an id that no URL can address is looked for by a query, and accounts may have no key
    assert {key[0] for key in keys if key != without} == {hostile}

    by_parameter = await service.query_documents(
        "users", "SELECT * FROM c WHERE c.user_id = @id", [{"name": "@id", "value": hostile}]
    )
    assert by_parameter == []


@pytest.mark.parametrize("hostile", INJECTIONS)
async def test_a_word_out_of_a_list_is_refused_before_it_is_sent(
    hostile: str, optimized: OptimizedQueries, wire: Wire
) -> None:
    asks: list[Callable[[], Awaitable[Any]]] = [
        lambda: optimized.get_trending_content(hostile),
        lambda: optimized.get_user_analytics_efficient(ANN, hostile),
        lambda: optimized.get_incidents_by_content_for_admin("bhagavad_gita", hostile),
    ]
    for ask in asks:
        with pytest.raises(QueryError, match=r"^(time_)?period: .* is not one of "):
            await ask()
    assert wire.queries == []


async def test_persona_configurations(service: DatabaseService, wire: Wire) -> None:
    first = await service.get_personality_config("krishna")
    assert first is not None
    assert first["temperature"] == 0.7
    first["temperature"] = 9

    again = await service.get_personality_config("krishna")

    assert again is not None
    assert again["temperature"] == 0.7
    assert len(wire.queries) == 1
    assert await service.get_personality_config("socrates") is None  # not active


async def test_a_changed_persona_is_seen_after_its_lifetime_or_at_once(database: DatabaseProxy) -> None:
    clock = [0.0]
    service = DatabaseService(database, persona_lifetime=60, clock=FakeClock(lambda: clock[0]))
    name = f"persona-{uuid4().hex}"

    async def store(temperature: float) -> None:
        document = {"id": name, "personality_id": name, "is_active": True, "temperature": temperature}
        await write(database, {"personalities": [document]})

    async def seen() -> float | None:
        found = await service.get_personality_config(name)
        return found and found["temperature"]

    await store(0.1)
    assert await seen() == 0.1
    await store(0.2)
    clock[0] = 59.9
    assert await seen() == 0.1
    clock[0] = 60.0
    assert await seen() == 0.2
    await store(0.3)
    service.forget_personality_config(name)
    assert await seen() == 0.3


async def test_all_of_one_person(service: DatabaseService, wire: Wire) -> None:
    with measured_cost() as charge:
        found = await service.get_user_comprehensive_analytics(ANN)

    assert found["user_profile"] is not None
    assert found["user_profile"]["name"] == ANN
    assert [row["session_id"] for row in found["recent_sessions"]] == ["session_new", "session_older"]
    assert len(found["recent_interactions"]) == 3
    assert found["analytics_summary"] is not None
    assert found["analytics_summary"]["period_start"] == "2025-08-01T00:00:00Z"
    assert "secret-token" not in json.dumps(found)
    assert "hash-of-an-address" not in json.dumps(found)
    assert wire.partition_keys == [json.dumps([ANN])] * 4
    assert charge.requests == 6  # with two reads of accounts that have no user_id


async def test_who_refuses_analytics_has_no_summary(service: DatabaseService) -> None:
    found = await service.get_user_comprehensive_analytics(BEN)

    assert found["analytics_summary"] is None
    assert [row["interaction_id"] for row in found["recent_interactions"]] == ["bens"]


@pytest.mark.parametrize("person", [CID, DOT])
async def test_who_refuses_in_an_older_or_unreadable_account_has_no_summary(
    person: str, service: DatabaseService
) -> None:
    assert await service.get_user_analytics(person) is not None
    assert (await service.get_user_comprehensive_analytics(person))["analytics_summary"] is None


@pytest.mark.parametrize("prefix", ["", "user_"])
async def test_an_account_without_user_id_is_found_and_its_refusal_counts(
    prefix: str, service: DatabaseService, database: DatabaseProxy
) -> None:
    person = f"old-{uuid4().hex}"
    account = {"id": f"{prefix}{person}", "partition_key": person, "analytics_consent": False}
    month = {"id": "m", "user_id": person, "analysis_period": "monthly", "period_start": "2025-08-01"}
    await write(database, {"users": [account], "user_analytics": [month]})
    assert await service.get_user_analytics(person) is not None
    found = await service.get_user_comprehensive_analytics(person)
    assert found["user_profile"] is not None
    assert found["user_profile"]["id"] == account["id"]
    assert found["analytics_summary"] is None
    assert await service.get_user_profile(f"user_{person}") is None  # an account of that name is another's


async def test_one_of_several_accounts_that_refuses_is_enough(
    service: DatabaseService, database: DatabaseProxy
) -> None:
    person = f"several-{uuid4().hex}"
    accounts = [
        {"id": f"{person}-{n}", "user_id": person, "privacy_settings": {"analytics_consent": n != 2}}
        for n in range(3)
    ]
    month = {"id": "m", "user_id": person, "analysis_period": "monthly", "period_start": "2025-08-01"}
    await write(database, {"users": accounts, "user_analytics": [month]})
    assert (await service.get_user_comprehensive_analytics(person))["analytics_summary"] is None


async def test_somebody_unknown_has_nothing(service: DatabaseService) -> None:
    assert await service.get_user_comprehensive_analytics("nobody") == {
        "user_profile": None,
        "recent_sessions": [],
        "recent_interactions": [],
        "analytics_summary": None,
    }


async def test_the_dashboard(service: DatabaseService, wire: Wire) -> None:
    found = await ComprehensiveAdminService(service, clock=FakeClock(lambda: NOW)).get_real_dashboard_data()

    assert found["system_performance"]["timestamp"] == "2025-08-05T14:35:00Z"
    assert [row["engagement_tier"] for row in found["user_engagement"]] == [
        "casual",
        "power_user",
        "engaged",
        "churned",
        "new",
    ]
    assert found["content_trends"]["date"] == "2025-08-05"
    assert found["timestamp"] == "2025-08-05T14:39:15.500Z"
    assert set(wire.partition_keys) == {'["performance"]', '["daily"]', None}
    assert wire.partition_keys.count('["performance"]') == wire.partition_keys.count('["daily"]') == 1


async def test_containers_are_made_as_catalogued_and_an_empty_dashboard_is_empty(
    client: CosmosClient,
) -> None:
    database = await client.create_database(uuid4().hex)
    service = DatabaseService(database)

    report = await service.create_analytics_containers()
    again = await service.create_analytics_containers()

    assert report.created == list(ANALYTICS_CONTAINERS)
    assert again.unchanged == list(ANALYTICS_CONTAINERS)
    found = await ComprehensiveAdminService(service).get_real_dashboard_data()
    assert (found["system_performance"], found["user_engagement"], found["content_trends"]) == ({}, [], {})


async def test_any_query_takes_a_key_and_parameters(service: DatabaseService, wire: Wire) -> None:
    rows = await service.query_documents(
        "user_interactions",
        "SELECT VALUE c.interaction_id FROM c WHERE c.user_rating = @rating",
        [{"name": "@rating", "value": 5}],
        partition_key=BEN,
    )

    assert rows == ["bens"]
    assert wire.partition_keys == [json.dumps([BEN])]


async def test_more_rows_than_asked_for_are_an_error_not_half_a_list(
    service: DatabaseService, wire: Wire
) -> None:
    query = "SELECT * FROM c"
    assert len(await service.query_documents("engagement_summary", query, limit=5)) == 5
    with pytest.raises(TooManyRowsError, match=r"^limit: more than 4 rows of engagement_summary match"):
        await service.query_documents("engagement_summary", query, limit=4)


async def test_what_the_service_refuses_is_its_own_error(service: DatabaseService) -> None:
    with pytest.raises(CosmosHttpResponseError) as raised:
        await service.query_documents("users", "SELEC * FROM c", partition_key=ANN)
    assert raised.value.status_code == 400


LONG = "a sentence with an address, ann@example.com, " * 10

REFUSED: dict[str, tuple[str, Callable[[DatabaseService], Awaitable[Any]]]] = {
    "no user": (
        "user_id: None is not an identifier of 1 to 255 characters",
        lambda s: s.get_user_profile(None),  # type: ignore[arg-type]
    ),
    "empty user": ("user_id: '' is not an identifier", lambda s: s.get_user_sessions("")),
    "number for user": (
        "user_id: a value of type int is not",
        lambda s: s.get_user_comprehensive_analytics(5551234),  # type: ignore[arg-type]
    ),
    "long user": (
        "user_id: a text of 450 characters",
        lambda s: s.optimized.get_user_interaction_history(LONG),
    ),
    "no days": ("days: 0 is not a whole number from 1 to 365", lambda s: s.get_user_interactions(ANN, 0)),
    "days beyond a year": (
        "days: 366 is not a whole number from 1 to 365",
        lambda s: s.get_user_interactions(ANN, 366),
    ),
    "days beyond sessions": (
        "days: 91 is not a whole number from 1 to 90",
        lambda s: s.get_user_sessions(ANN, 91),
    ),
    "a yes for days": (
        "days: True is not a whole number",
        lambda s: s.optimized.get_user_interaction_history(ANN, True),
    ),
    "a text for days": (
        "days: a text of 1 characters is not a whole number",
        lambda s: s.get_user_sessions(ANN, "7"),  # type: ignore[arg-type]
    ),
    "no limit": (
        "limit: -1 is not a whole number from 1 to 1000",
        lambda s: s.optimized.get_trending_content(limit=-1),
    ),
    "huge limit": (
        "limit: 1001 is not a whole number from 1 to 1000",
        lambda s: s.query_documents("users", "SELECT * FROM c", limit=1001),
    ),
    "fraction": (
        "limit: 2.5 is not",
        lambda s: s.optimized.get_incidents_by_content_for_admin("x", limit=2.5),  # type: ignore[arg-type]
    ),
    "unknown container": (
        "container_name: a text of 4 characters is not one of users, user_sessions",
        lambda s: s.query_documents("user", "SELECT * FROM c"),
    ),
    "no query": ("query: is not the text of a query", lambda s: s.query_documents("users", "  ")),
    "empty key": (
        "partition_key: '' is not an identifier",
        lambda s: s.query_documents("users", "SELECT * FROM c", partition_key=""),
    ),
    "parameters as text": (
        "parameters: a text of 1 characters is not a list",
        lambda s: s.query_documents("users", "SELECT * FROM c", "x"),  # type: ignore[arg-type]
    ),
    "parameter of another shape": (
        "parameters[0]: an object of 1 fields is not an object of name and value",
        lambda s: s.query_documents("users", "SELECT * FROM c", [{"@id": LONG}]),
    ),
    "name without sign": (
        "parameters[0].name: a text of 2 characters is not a name such as '@user_id'",
        lambda s: s.query_documents("users", "SELECT * FROM c", [{"name": "id", "value": 1}]),
    ),
    "name twice": (
        "parameters[1].name: occurs twice",
        lambda s: s.query_documents("users", "SELECT * FROM c", [{"name": "@id", "value": 1}] * 2),
    ),
    "too many parameters": (
        "parameters: 101 are more than 100",
        lambda s: s.query_documents("users", "x", [{"name": f"@p{n}", "value": n} for n in range(101)]),
    ),
    "persona of no name": (
        "personality_id: None",
        lambda s: s.get_personality_config(None),  # type: ignore[arg-type]
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_wrong_argument_is_named_and_nothing_is_sent(
    case: str, service: DatabaseService, wire: Wire
) -> None:
    message, ask = REFUSED[case]

    with pytest.raises(QueryError) as raised:
        await ask(service)

    assert str(raised.value).startswith(message)
    assert raised.value.field == message.partition(":")[0]
    assert "ann@example.com" not in str(raised.value)
    assert "5551234" not in str(raised.value)
    assert wire.queries == []
