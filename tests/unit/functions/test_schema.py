"""A migration over HTTP: what is started, what is refused, and an orchestration that goes on to the end."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest

from functions import schema
from shared.maintenance.migrate import MigrationReport
from shared.rights import Identity
from tests.durable_replay import replay
from tests.unit.functions.registered import functions_of

FUNCTIONS = functions_of(schema.blueprint)
STATUS = df.OrchestrationRuntimeStatus
ORDER = {"container": "user_interactions", "to": "1.1", "ru_per_second": 100}


class Client:
    """A durable client that knows one instance."""

    def __init__(self, status: df.OrchestrationRuntimeStatus | None) -> None:
        self._status = status
        self.started: list[tuple[Any, ...]] = []

    async def get_status(self, _: str) -> Any:
        return SimpleNamespace(runtime_status=self._status)

    async def start_new(self, *arguments: Any) -> str:
        self.started.append(arguments)
        return str(arguments[1])

    def create_check_status_response(self, _: func.HttpRequest, instance: str) -> func.HttpResponse:
        return func.HttpResponse(instance, status_code=202)


async def start(body: Any, client: Client) -> func.HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = func.HttpRequest(method="POST", url="/api/schema/migrations", body=raw)
    answer: func.HttpResponse = await schema.start_migration._function._func.client_function(request, client)
    return answer


@pytest.mark.parametrize(
    ("status", "starts"),
    [
        (None, True),
        (df.OrchestrationRuntimeStatus.Completed, True),
        (df.OrchestrationRuntimeStatus.Running, False),
        (df.OrchestrationRuntimeStatus.ContinuedAsNew, False),
        (df.OrchestrationRuntimeStatus.Suspended, False),
    ],
)
async def test_one_migration_of_a_container_is_at_work(status: Any, starts: bool) -> None:
    client = Client(status)
    answer = await start(ORDER, client)
    assert (answer.status_code, answer.get_body()) == (202, b"migration-user_interactions")
    assert client.started == ([("migrate_documents", "migration-user_interactions", ORDER)] if starts else [])


@pytest.mark.parametrize("other_starts", [True, False])
async def test_two_starts_at_the_same_time_start_one(other_starts: bool) -> None:
    class Refusing(Client):
        async def start_new(self, *_: Any) -> str:
            if other_starts:
                self._status = STATUS.Pending
            raise Exception("An Orchestration instance with this id already exists")

    if other_starts:
        assert (await start(ORDER, Refusing(None))).status_code == 202
    else:
        with pytest.raises(Exception, match="already exists"):
            await start(ORDER, Refusing(None))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "is not of the form"),
        ({"container": "users"}, "is not of the form"),
        (ORDER | {"ru_per_second": 0}, "is not of the form"),
        (ORDER | {"ru_per_second": True}, "is not of the form"),
        (ORDER | {"ru_per_second": "100"}, "is not of the form"),
        (ORDER | {"ru_per_second": float("inf")}, "is not of the form"),
        (ORDER | {"ru_per_second": float("nan")}, "is not of the form"),
        (ORDER | {"ru_per_second": 10**400}, "is not of the form"),
        ([], "is not of the form"),
        (b"[" * 20_000, "is not of the form"),
        (ORDER | {"to": "7.0"}, "it has 0.1, 0.2, 1.0, 1.1"),
        (ORDER | {"container": "daily_metrics"}, "have no schema versions"),
    ],
)
async def test_what_cannot_be_done_is_refused(body: Any, said: str) -> None:
    client = Client(None)
    answer = await start(body, client)
    assert answer.status_code == 400
    assert said in json.loads(answer.get_body())["error"]
    assert client.started == []


def test_the_orchestration_goes_on_until_the_container_is_done() -> None:
    pieces = iter([{"finished": False, "migrated": 1}, OSError("gone"), {"finished": True, "migrated": 2}])

    def piece(order: Any) -> Any:
        assert order == ORDER
        done = next(pieces)
        if isinstance(done, Exception):
            raise done
        return done

    run = replay(schema.migrate_documents, ORDER, activities={"migrate_piece": piece})
    assert (run.output, run.executions) == ({"finished": True, "migrated": 2}, 2)
    assert run.custom_status == {"finished": True, "migrated": 2}


async def test_a_piece_is_a_run_with_a_limit_and_says_no_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Migrator:
        async def migrate(self, *arguments: Any, **options: Any) -> MigrationReport:
            asked.append((arguments, options))
            report = MigrationReport("user_interactions", "1.1", finished=True)
            report.examples.append(("user_rating", "secret id"))
            report.tally.left["user_rating"] = 1
            return report

    async def fleet(_: Identity) -> Any:
        return SimpleNamespace(migrator=Migrator())

    monkeypatch.setattr(schema, "fleet", fleet)
    done = await FUNCTIONS["migrate_piece"].get_user_function()(order=ORDER)
    assert asked == [
        (("user_interactions", "1.1"), {"ru_per_second": 100, "budget_seconds": schema.RUN_SECONDS})
    ]
    assert done["left"] == {"user_rating": 1}
    assert "secret id" not in json.dumps(done)
