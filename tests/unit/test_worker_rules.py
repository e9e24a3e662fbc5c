"""The app, and only an app, that Microsoft's own Python worker would index is accepted.

The worker's library needs Python 3.13, so its rules are written down with their sources in
``local.host.worker_rules``; ``tests/unit/local/host/test_worker_library.py`` compares the two. Here the
fleet's app is imported as the worker does it: in a process of its own, without a network, and without
anything of ``local`` or ``tests``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.host.errors import HostStartError
from local.host.host_json import check_host_json
from local.host.loading import load_functions
from local.host.retry import parse_retry_policy
from local.host.worker_rules import WorkerRuleError
from tests.unit.local.host.apps import write_app

ROOT = Path(__file__).parents[2]

INDEX = """
import json, socket, sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("local", "ops", "terminal", "tests", "bench"):
            raise ImportError(f"{name} is not in a deployed app")

def no_network(*arguments, **options):
    raise AssertionError("the app opens a connection while it is imported")

sys.meta_path.insert(0, Refused())
socket.socket.connect = socket.socket.connect_ex = no_network
socket.create_connection = socket.getaddrinfo = no_network

import function_app
from azure.functions import FunctionRegister

apps = [name for name, value in vars(function_app).items() if isinstance(value, FunctionRegister)]
functions = function_app.app.get_functions()
indexed = [
    {
        "name": function.get_function_name(),
        "bindings": [json.loads(text) for text in function.get_raw_bindings()],
        "whole": json.loads(function.get_function_json()),
        "retry": function.get_settings_dict("retry_policy"),
    }
    for function in functions
]

sys.meta_path.pop(0)
from local.host.worker_rules import check_functions
check_functions(functions)
print(json.dumps({"apps": apps, "functions": indexed}))
"""


def index(settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), **settings}
    return subprocess.run(
        [sys.executable, "-c", INDEX],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def indexed() -> dict[str, Any]:
    """What the worker would tell the host of the fleet's app, where only the account is known."""
    run = index({"CosmosDb__accountEndpoint": "https://account.documents.azure.com:443/"})
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_the_app_is_indexed_without_network_and_without_the_laptop_stack(indexed: dict[str, Any]) -> None:
    assert indexed["apps"] == ["app"]
    assert len(indexed["functions"]) >= 8


def test_what_the_host_gets_to_know(indexed: dict[str, Any]) -> None:
    for function in indexed["functions"]:
        assert function["whole"]["scriptFile"] == "function_app.py", function["name"]
        assert function["whole"]["bindings"] == function["bindings"], function["name"]
        for binding in function["bindings"]:
            assert binding["direction"] in ("IN", "OUT"), function["name"]
    routes = [
        (binding["route"].lower(), method)
        for function in indexed["functions"]
        for binding in function["bindings"]
        if binding["type"] == "httpTrigger"
        for method in binding["methods"]
    ]
    assert len(routes) == len(set(routes))


def test_change_feed_triggers_hold_their_lease_with_a_policy(indexed: dict[str, Any]) -> None:
    for function in indexed["functions"]:
        if function["bindings"][0]["type"] == "cosmosDBTrigger":
            policy = parse_retry_policy(function["name"], function["retry"])
            assert policy is not None, function["name"]
            assert policy.max_retry_count == -1, function["name"]


def test_without_any_setting_the_app_says_which_one_is_missing() -> None:
    run = index({})
    assert run.returncode != 0
    assert (
        run.stderr.strip()
        .splitlines()[-1]
        .endswith(
            "The setting CosmosDb (connection string) or CosmosDb__accountEndpoint (identity) must be set; "
            "both are empty."
        )
    )


def test_the_network_is_out_of_reach_for_the_import() -> None:
    attempt = "import socket; socket.create_connection(('127.0.0.1', 9))"
    code = INDEX.replace("import function_app", attempt)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "opens a connection" in run.stderr


TIMER = "@app.timer_trigger(arg_name='t', schedule='0 * * * * *')\n"
ROUTE = "@app.route(route='x')\n"
COSMOS = "@app.cosmos_db_trigger(arg_name='d', connection='Db', database_name='m', container_name='c')\n"


REFUSED = [
    (f"@app.function_name('1st')\n{TIMER}def f(t): pass", "Function 1st has a name", "FunctionName"),
    (f"@app.function_name('host')\n{TIMER}def f(t): pass", "Function host has a name", "FunctionName"),
    (f"{TIMER}def f(t): pass\n{TIMER}def F(t): pass", "upper and lower case", "ScriptHost"),
    (TIMER.replace("'t'", "'t_1'") + "def f(t_1): pass", "binding 't_1'", "BindingName"),
    (f"{TIMER}def f(x): pass", "['x'], but its bindings supply ['t']", "validate_function_params"),
    (f"{TIMER}def f(t, more=1): pass", "['more', 't']", "validate_function_params"),
    (f"{TIMER}def f(t, c: func.Context): pass", "['c', 't']", "validate_function_params"),
    (f"{TIMER}def f(t, context: int): pass", "parameter context", "is_context_required"),
    (f"{TIMER}def f(t, /): pass", "by name", "keyword"),
    (f"{TIMER}def f(t, **rest): pass", "by name", "keyword"),
    (f"{TIMER}def f(t: func.HttpRequest): pass", "HttpRequest", "validate_function_params"),
    (f"{TIMER}def f(t: 'Nowhere'): pass", "cannot be evaluated", "add_indexed_function"),
    (f"{TIMER}def f(t: func.TimerRequest | None): pass", "not a class", "validate_function_params"),
    (f"{COSMOS}def f(d: list[func.Document]): pass", "not a class", "validate_function_params"),
    (f"{COSMOS}def f(d: list): pass", "list", "validate_function_params"),
    (f"{TIMER}async def f(t):\n    yield", "is a generator", "Dispatcher"),
    (f"{TIMER}def f(t):\n    yield", "is a generator", "Dispatcher"),
    (f"{ROUTE}def f(req) -> None: pass", "NoneType", "get_function_return_type"),
    (f"{ROUTE}def f(req) -> bytes: pass", "bytes", "get_function_return_type"),
    (f"{ROUTE}def f(req) -> str | None: pass", "not a class", "get_function_return_type"),
    (f"{ROUTE.replace('x', 'admin/x')}def f(req) -> str: pass", "the host's", "ValidateHttpFunction"),
    (
        f"@app.retry(strategy='fixed_delay', max_retry_count='1', delay_interval='00:00:01')\n{ROUTE}"
        "def f(req) -> str: pass",
        "no effect on a httpTrigger",
        "supported triggers",
    ),
]
"""Apps with one function, what is wrong with it, and where the platform has the rule."""


@pytest.mark.parametrize(("code", "fault", "source"), REFUSED)
def test_what_the_worker_refuses_is_refused_here(tmp_path: Path, code: str, fault: str, source: str) -> None:
    write_app(tmp_path, code)
    with pytest.raises(WorkerRuleError) as caught:
        load_functions(tmp_path, {})
    assert fault in str(caught.value)
    assert source in caught.value.source


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("@app.function_name('f')\ndef f(t): pass", "Function f does not have a trigger"),
        (f"{TIMER}{TIMER}def f(t): pass", "A trigger was already registered"),
        (f"{COSMOS}def f(d: str): pass", "Function f asks for its cosmosDBTrigger as plain"),
    ],
)
def test_what_the_package_refuses_is_told_in_a_sentence(tmp_path: Path, code: str, fault: str) -> None:
    write_app(tmp_path, code)
    with pytest.raises(HostStartError, match=fault):
        load_functions(tmp_path, {})


ACCEPTED = [
    f"{TIMER}def f(t): return None",
    f"{TIMER}async def f(t: func.TimerRequest, context: func.Context) -> None: pass",
    f"{COSMOS}def f(d: func.DocumentList) -> None: pass",
    f"{ROUTE}def f(req: func.HttpRequest) -> str: return ''",
    f"{ROUTE}def f(req: 'func.HttpRequest') -> 'func.HttpResponse': ...",
    f"{TIMER}async def f(*, t): pass",
]


@pytest.mark.parametrize("code", ACCEPTED)
def test_what_the_worker_accepts_is_accepted_here(tmp_path: Path, code: str) -> None:
    write_app(tmp_path, code)
    assert len(load_functions(tmp_path, {})) == 1


def test_the_apps_own_host_json() -> None:
    path = ROOT / "host.json"
    check_host_json(json.loads(path.read_text()), path)


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ({"functionTimeOut": "00:05:00"}, "'functionTimeOut'"),
        ({"retry": {}}, "'retry'"),
        ({"extensions": {"http": {"routePreffix": ""}}}, "'extensions.http.routePreffix'"),
        ({"extensions": {"cosmosDB": {"connectionMode": "Tcp"}}}, "connectionMode"),
        ({"extensions": {"cosmosDB": {"leaseOptions": {}}}}, "leaseOptions"),
        ({"logging": {"level": "Debug"}}, "'logging.level'"),
        ({"extensionBundle": {"id": "Other", "version": "[4.0.0, 5.0.0)"}}, "extensionBundle.id"),
        (
            {
                "extensionBundle": {
                    "id": "Microsoft.Azure.Functions.ExtensionBundle",
                    "version": "[3.*, 4.0.0)",
                }
            },
            "extensionBundle.version",
        ),
    ],
)
def test_a_host_json_that_does_not_say_what_it_seems_to(document: dict[str, Any], word: str) -> None:
    with pytest.raises(HostStartError, match=word):
        check_host_json({"version": "2.0", **document}, Path("host.json"))


def test_the_sample_of_the_local_settings_has_what_the_triggers_name(indexed: dict[str, Any]) -> None:
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    texts = [
        str(value)
        for function in indexed["functions"]
        for binding in function["bindings"]
        for value in binding.values()
    ]
    named = {name for text in texts for name in re.findall(r"%([^%\s]+)%", text)}
    assert named == {"COSMOS_DATABASE", "FLEET_GENERATION"}
    assert named | {"CosmosDb", "FUNCTIONS_WORKER_RUNTIME"} <= set(sample)
