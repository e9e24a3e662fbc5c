"""Orchestrations are run as Microsoft's worker library runs them, on Python 3.13 and above.

The library is given what the local host gives an orchestrator, episode by episode, and must ask for the same;
and activities return the same, or fail in both.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from azure.functions.durable_functions import ActivityTriggerConverter
from azure.functions.meta import Datum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.host.bindings import FunctionSpec
from local.host.durable.answers import MARK, Answer, read_answer, read_failure
from local.host.invoke import Invoker
from tests.durable_replay import replay
from tests.integration.host.durable.programs import Program, events_of, expected, interpret, programs
from tests.unit.local.host.apps import write_app
from tests.unit.local.host.test_worker_library import index, load
from tests.unit.local.host.worker_library import Worker, needs_worker

pytestmark = needs_worker

APP = """
import azure.durable_functions as df
from tests.integration.host.durable.programs import interpret

bp = df.Blueprint()
bp.orchestration_trigger(context_name="context")(interpret)

@bp.orchestration_trigger(context_name="context")
def broken(context):
    yield context.call_activity("plain", 1)
    raise ValueError("broken on purpose")

@bp.activity_trigger(input_name="value")
def plain(value):
    if value == "raise":
        raise ValueError("no")
    return object() if value == "object" else value

@bp.activity_trigger(input_name="value")
async def annotated(value: dict) -> list:
    return [type(value).__name__, value]

@bp.route(route="start")
@bp.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    return client._orchestration_bindings.rpc_base_url

app.register_functions(bp)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_app(tmp_path_factory.mktemp("app"), APP)


@pytest.fixture(scope="module")
def worker(folder: Path) -> Worker:
    return Worker(index(folder))


@pytest.fixture(scope="module")
def specs(folder: Path) -> dict[str, FunctionSpec]:
    return load(folder)


async def ask(worker: Worker, name: str, text: str) -> Answer:
    told = await worker.invoke(name, ("string", text), invocation_id="id")
    if not told.ok:
        # The library adds the trace; the host gets the exception's text by itself.
        message, mark, rest = str(told.error).partition(MARK)
        reply, _ = json.JSONDecoder().raw_decode(rest)
        return read_failure(f"{message}{mark}{json.dumps(reply)}")
    return read_answer(told.returned.value)


def test_durable_functions_are_indexed_by_both(worker: Worker, specs: dict[str, FunctionSpec]) -> None:
    assert {*specs} == {*worker.metadata} == {"interpret", "broken", "plain", "annotated", "start"}
    for name, spec in specs.items():
        assert worker.directory(name) == str(spec.directory), name


@settings(max_examples=40, deadline=None, suppress_health_check=[*HealthCheck])
@given(program=programs(1), rounds=st.integers(0, 1), batch=st.integers(1, 4))
def test_an_orchestrator_asks_for_the_same_in_each_episode(
    worker: Worker, program: Program, rounds: int, batch: int
) -> None:
    tries: Counter[str] = Counter()

    def work(asked: dict[str, Any]) -> Any:
        tries[asked["key"]] += 1
        if tries[asked["key"]] <= asked["failures"]:
            raise ValueError("on purpose")
        return asked["value"]

    episodes: list[tuple[str, Answer]] = []
    run = replay(
        interpret,
        {"program": program, "rounds": rounds},
        activities={"work": work},
        sub_orchestrations={"interpret": lambda asked: expected(asked["program"])},
        events=[(name, 1) for left in range(rounds, -1, -1) for name in events_of(program, left)],
        batch=batch,
        observe=lambda text, answer: episodes.append((text, answer)),
    )
    assert run.output == expected(program)
    for text, answer in episodes:
        assert asyncio.run(ask(worker, "interpret", text)) == answer


async def test_an_orchestrator_fails_with_the_same_words(
    worker: Worker, specs: dict[str, FunctionSpec]
) -> None:
    texts: list[tuple[str, Answer]] = []
    builder = specs["broken"].call.orchestrator_function  # type: ignore[attr-defined]
    replay(builder, activities={"plain": lambda _: 1}, observe=lambda *told: texts.append(told))
    (_, first), (text, last) = texts
    assert (first.error, last.error) == (None, "broken on purpose")
    assert await ask(worker, "broken", text) == last


@pytest.mark.parametrize("name", ["plain", "annotated"])
@pytest.mark.parametrize("value", [1, None, "é", {"a": [1, {}]}, [], "raise", "object", "[1]"])
async def test_an_activity_returns_the_same_or_fails_in_both(
    worker: Worker, specs: dict[str, FunctionSpec], name: str, value: Any
) -> None:
    text = json.dumps(value)
    ours = await Invoker(timeout=None, threads=1).invoke(
        specs[name],
        lambda: ActivityTriggerConverter.decode(Datum(text, "string"), trigger_metadata=None),
        fields={},
    )
    theirs = await worker.invoke(name, ("string", text), invocation_id="id")
    assert (ours.error is None) is theirs.ok, (ours, theirs)
    if theirs.ok:
        assert (theirs.returned.type, theirs.returned.value) == ("json", ours.value)
