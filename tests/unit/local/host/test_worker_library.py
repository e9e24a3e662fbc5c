"""The local host accepts, calls and answers as Microsoft's worker library does, on Python 3.13 and above."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.functions.decorators.function_app import Function
from azure.functions.http import HttpRequestConverter
from azure.functions.meta import Datum
from hypothesis import given, settings
from hypothesis import strategies as st

from local.host.bindings import FunctionSpec
from local.host.errors import HostStartError
from local.host.invoke import Invoker, Outcome
from local.host.lease_runner import decode_documents
from local.host.loading import load_functions
from local.host.trigger_http import _request
from local.host.worker_rules import WorkerRuleError
from tests.unit.local.host.apps import write_app
from tests.unit.local.host.worker_library import Answer, Worker, needs_worker
from tests.unit.test_worker_rules import ACCEPTED, COSMOS, REFUSED, ROUTE, TIMER

pytestmark = needs_worker

ROOT = Path(__file__).parents[4]
SETTINGS = {
    "CosmosDb": "AccountEndpoint=https://account.documents.azure.com:443/;AccountKey=a2V5;",
    "COSMOS_DATABASE": "database",
    "FLEET_GENERATION": "1",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
}


@contextmanager
def imported_from(folder: Path) -> Iterator[None]:
    """Have ``function_app`` be that of a folder, as in a process of its own."""
    before = {name: sys.modules.pop(name) for name in [*sys.modules] if name == "function_app"}
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("function_app", None)
        sys.modules.update(before)


def index(folder: Path) -> list[Function]:
    """Find the functions of an app as the worker does."""
    from azure_functions_runtime.loader import index_function_app

    with imported_from(folder):
        found: list[Function] = index_function_app(str(folder / "function_app.py"))
    return found


def load(folder: Path) -> dict[str, FunctionSpec]:
    with imported_from(folder):
        return {spec.name: spec for spec in load_functions(folder, SETTINGS)}


def fault_of(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except Exception as error:  # noqa: BLE001  the library raises errors of many types
        return error
    return None


@pytest.mark.parametrize("code", [code for code, _, _ in REFUSED])
def test_what_is_refused_by_a_rule_of_the_worker_is_refused_by_the_worker(tmp_path: Path, code: str) -> None:
    folder = write_app(tmp_path, code)
    ours = fault_of(lambda: load(folder))
    assert isinstance(ours, WorkerRuleError)
    if "Registry" in ours.source:  # other rules are the host's, or show only when the function is called
        assert fault_of(lambda: Worker(index(folder))) is not None


@pytest.mark.parametrize("code", ACCEPTED)
def test_what_is_accepted_is_accepted_by_the_worker(tmp_path: Path, code: str) -> None:
    folder = write_app(tmp_path, code)
    assert [*load(folder)] == [*Worker(index(folder)).metadata]


@pytest.mark.parametrize("code", ["app = None", "other = func.FunctionApp()", "again = app"])
def test_an_app_without_exactly_one_name_for_its_functions_is_refused_by_both(
    tmp_path: Path, code: str
) -> None:
    folder = write_app(tmp_path, f"{TIMER}def f(t): pass\n{code}")
    assert isinstance(fault_of(lambda: load(folder)), HostStartError)
    assert isinstance(fault_of(lambda: index(folder)), ValueError)


NAMES = ["t", "d", "req", "context", "more"]
ANNOTATIONS = [
    *("", "func.TimerRequest", "func.DocumentList", "func.HttpRequest", "func.Context", "func.Document"),
    *("'func.TimerRequest'", "'Nowhere'", "func.TimerRequest | None", "list[func.Document]", "func.Out[str]"),
    *("int", "list", "dict", "object", "None"),
]
RETURNS = [*("", "None", "str", "bytes", "int", "func.HttpResponse", "str | None", "list[str]", "'Nowhere'")]
parameters = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(ANNOTATIONS)),
    max_size=3,
    unique_by=lambda parameter: parameter[0],
)


def function(
    decorator: str, parameters: list[tuple[str, str]], returned: str, is_async: bool, only_named: bool
) -> str:
    written = [name + (f": {annotation}" if annotation else "") for name, annotation in parameters]
    signature = ", ".join(["*"] * (only_named and bool(written)) + written)
    arrow = f" -> {returned}" if returned else ""
    return f"{decorator}{'async ' * is_async}def f({signature}){arrow}: pass"


functions = st.builds(
    function,
    st.sampled_from([TIMER, COSMOS, ROUTE]),
    parameters,
    st.sampled_from(RETURNS),
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=300)
@given(functions)
def test_a_function_is_accepted_by_both_or_by_neither(code: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = write_app(Path(name), code)
        ours, theirs = fault_of(lambda: load(folder)), fault_of(lambda: Worker(index(folder)))
    assert (ours is None) is (theirs is None), (ours, theirs)


def test_the_host_gets_to_know_of_the_fleet_what_the_local_host_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    specs, worker = load(ROOT), Worker(index(ROOT))
    assert {*specs} == {*worker.metadata}
    for name, spec in specs.items():
        assert worker.directory(name) == str(spec.directory), name
        told = worker.metadata[name].retry_options
        assert (told is None) is (spec.retry is None), name
        if told is not None and spec.retry is not None:
            assert told.max_retry_count == spec.retry.max_retry_count
            assert told.retry_strategy == spec.retry.strategy
        raw = [json.loads(text) for text in worker.metadata[name].raw_bindings]
        assert spec.argument in [binding["name"] for binding in raw]


APP = """
import threading

seen = []

def note(context, value):
    said = {}
    for part in (context, context.retry_context, context.retry_context.rpc_exception, context.trace_context):
        said[type(part).__name__] = sorted(name for name in dir(part) if not name.startswith("_"))
    seen.append({
        "attributes": said,
        "texts": [
            context.function_name, context.function_directory, context.trace_context.trace_state,
            isinstance(context, func.Context), context.retry_context.retry_count,
            context.retry_context.max_retry_count,
        ],
        "own": context.invocation_id == context.thread_local_storage.invocation_id,
        "value": [type(value).__name__, repr(value)],
    })

"""
HANDLER = """
@app.{decorator}
{async_}def {name}({argument}, context: func.Context){returned}:
    note(context, {value})
    {body}
"""
CHANGES = '[{"id": "a", "n": 1.5, "at": "2025-08-05T10:00:00Z"}, {"id": "b", "list": [null, true]}]'
FEED = ("d", COSMOS, "list(map(dict, d))")
HTTP = ("req", ROUTE, "[req.method, req.url, *map(dict, (req.headers, req.params, req.route_params))]")


def app_of(body: str, kind: tuple[str, str, str] = FEED) -> str:
    """Return an app with a function, ``sync0`` and ``async0``, of a trigger."""
    argument, decorator, value = kind
    return APP + "".join(
        HANDLER.format(
            decorator=decorator.strip().removeprefix("@app.").replace("'x'", f"'x{is_async}'"),
            async_="async " * is_async,
            name=f"{'async' if is_async else 'sync'}0",
            argument=argument,
            returned="",
            value=value,
            body=body,
        )
        for is_async in (False, True)
    )


def request() -> Datum:
    scope = {"query_string": b"a=1&b=", "path": "/api/x", "scheme": "http"}
    return _request(scope, "POST", {"host": "here", "x-b": "c"}, {"a": "1"}, {"id": "7"}, b"body")


@dataclass(frozen=True, slots=True)
class Both:
    """An invocation of a function here and in the worker: the answers, and what the function saw."""

    ours: Outcome
    here: dict[str, Any]
    theirs: Answer
    there: dict[str, Any]

    @classmethod
    async def of(cls, folder: Path, name: str, make_value: Callable[[], Any], told: tuple[str, Any]) -> Both:
        """Invoke the function with what the local host makes of an input, and with what the host tells."""
        from azure_functions_runtime.bindings.retrycontext import RpcException

        with imported_from(folder):
            spec = {spec.name: spec for spec in load_functions(folder, SETTINGS)}[name]
            here = sys.modules["function_app"].seen
        ours = await Invoker(timeout=None, threads=1).invoke(spec, make_value, fields={})
        functions = index(folder)
        there = functions[0].get_user_function().__globals__["seen"]
        first = (0, 0, RpcException("", "", ""))
        theirs = await Worker(functions).invoke(name, told, invocation_id="id", retry=first)
        return cls(ours, here[-1], theirs, there[-1])


async def delivered(folder: Path, name: str) -> Both:
    return await Both.of(folder, name, lambda: decode_documents(json.loads(CHANGES)), ("json", CHANGES))


async def requested(folder: Path, name: str) -> Both:
    made = request()
    return await Both.of(
        folder,
        name,
        lambda: HttpRequestConverter.decode(made, trigger_metadata=None),
        ("http", made.value),
    )


NAMES_OF = ["sync0", "async0"]


@pytest.mark.parametrize("name", NAMES_OF)
async def test_a_function_sees_the_same_context_and_the_same_documents(tmp_path: Path, name: str) -> None:
    both = await delivered(write_app(tmp_path, app_of("pass")), name)
    assert both.ours.error is None
    assert both.theirs.ok, both.theirs.error
    assert both.here == both.there
    assert both.here["own"] is True


@pytest.mark.parametrize("name", NAMES_OF)
@pytest.mark.parametrize(
    "body", ["return None", "return 1", "return ''", "return []", "raise ValueError('no')", "assert False"]
)
async def test_an_invocation_succeeds_with_both_or_with_neither(tmp_path: Path, body: str, name: str) -> None:
    both = await delivered(write_app(tmp_path, app_of(body)), name)
    assert (both.ours.error is None) is both.theirs.ok, both
    if both.ours.error is not None and both.theirs.error is not None:
        assert (type(both.ours.error).__name__ in both.theirs.error) is ("return" not in body)


@pytest.mark.parametrize("name", NAMES_OF)
@pytest.mark.parametrize(
    "body",
    [
        *(
            "return 'text'",
            "return ''",
            "return b'x'",
            "return 1",
            "return None",
            "return {}",
            "return ['a']",
        ),
        "return func.HttpResponse('x', status_code=418, headers={'a': 'b'})",
        "return func.HttpResponse(b'x', mimetype='application/json')",
        "return func.HttpResponse()",
        "raise ValueError('no')",
    ],
)
async def test_an_answer_over_http_is_the_same(tmp_path: Path, body: str, name: str) -> None:
    both = await requested(write_app(tmp_path, app_of(body, HTTP)), name)
    assert both.here == both.there
    assert (both.ours.error is None) is both.theirs.ok, both
    if not both.theirs.ok:
        return
    told, value = both.theirs.returned, both.ours.value
    if told.type == "string":
        assert told.value == value
        return
    assert told.value["status_code"].value == str(value.status_code)
    assert told.value["body"].value == value.get_body()
    headers = {name: each.value for name, each in told.value["headers"].items()}
    assert headers.items() >= dict(value.headers).items()
    assert headers["content-type"].partition(";")[0] == value.mimetype
