"""Every function ends in time by itself, whatever it waits for, called as the platform calls it."""

from __future__ import annotations

import asyncio
from typing import Any

import azure.functions as func
import pytest
from azure.functions.decorators.function_app import Function

from functions import http, sources, timers, views
from shared.cosmos.retries import INVOCATION_SECONDS
from shared.errors import DeadlineError
from tests.unit.functions.registered import functions_of, invoke
from tests.virtual_time import run

MODULES = (sources, views, timers, http)
FUNCTIONS = [
    pytest.param(module, function, id=name)
    for module in MODULES
    for name, function in functions_of(module.blueprint).items()
    if name != "health"  # it waits for nothing
]
ANSWERED_WITHIN = 20.0


@pytest.mark.parametrize(("module", "function"), FUNCTIONS)
def test_an_invocation_that_waits_for_ever_ends_at_its_deadline(
    module: Any, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never() -> Any:
        await asyncio.sleep(100_000)

    async def work() -> tuple[Any, float]:
        try:
            answer = await invoke(function, values[function.get_trigger().type])
        except DeadlineError:
            answer = None
        return answer, asyncio.get_running_loop().time()

    monkeypatch.setattr(module, "fleet", never)
    monkeypatch.setattr(http, "check_ready", never)
    request = func.HttpRequest(
        method="POST", url="/", body=b'{"by": "ana"}',
        route_params={"poison_id": "poison_" + "0" * 32, "action": "resolve"},
    )  # fmt: skip
    values: dict[str, Any] = {
        "cosmosDBTrigger": func.DocumentList([func.Document({"id": "a"})]),
        "timerTrigger": None,
        "httpTrigger": request,
    }
    answer, seconds = run(work())
    if module is http:
        assert answer.status_code == 503
        assert seconds <= ANSWERED_WITHIN
    else:
        assert (answer, seconds) == (None, INVOCATION_SECONDS)
