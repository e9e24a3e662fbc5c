"""What ``host.json`` and the app's settings say of orchestrations, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.host.bindings import FunctionSpec
from local.host.durable.settings import read_durable_settings
from local.host.durable_bindings import ActivityTrigger, ClientInput, OrchestrationTrigger
from local.host.errors import HostStartError
from local.host.loading import load_functions
from local.host.settings import load_host_json
from local.host.worker_rules import WorkerRuleError
from tests.unit.local.host.apps import write_app

APP = """
import azure.durable_functions as df

bp = df.Blueprint()

@bp.orchestration_trigger(context_name="context", orchestration={orchestration!r})
def orchestrate(context):
    yield context.call_activity("act", None)

@bp.activity_trigger(input_name="value")
def act(value: str) -> str:
    return value

@bp.route(route="start")
@bp.durable_client_input(client_name="client"{client})
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient, context: func.Context) -> str:
    return ""

app.register_functions(bp)
"""


def load(folder: Path, client: str = "", orchestration: str | None = None) -> dict[str, FunctionSpec]:
    write_app(folder, APP.format(client=client, orchestration=orchestration))
    return {spec.name: spec for spec in load_functions(folder, {})}


def read(section: dict[str, Any], **settings: str) -> Any:
    return read_durable_settings({"extensions": {"durableTask": section}}, settings)


def test_a_blueprint_is_indexed(tmp_path: Path) -> None:
    specs = load(tmp_path, orchestration="other")
    assert specs["orchestrate"].trigger == OrchestrationTrigger("other")
    assert specs["orchestrate"].context_argument is None  # its argument of this name is the orchestration's
    assert specs["act"].trigger == ActivityTrigger("act")
    assert specs["start"].client == ClientInput("client", None)
    assert (specs["start"].is_async, specs["start"].context_argument) == (True, "context")


def test_a_client_of_another_storage_account_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostStartError, match=r"start.*connection_name"):
        load(tmp_path, client=', connection_name="Other"')


def test_a_client_with_a_hub_names_it(tmp_path: Path) -> None:
    assert load(tmp_path, client=', task_hub="Other"')["start"].client == ClientInput("client", "Other")


def test_a_retry_policy_has_no_effect_on_an_activity(tmp_path: Path) -> None:
    policy = '@bp.retry(strategy="fixed_delay", max_retry_count="1", delay_interval="00:00:01")'
    code = APP.format(client="", orchestration=None)
    code = code.replace("@bp.activity_trigger(", f"{policy}\n@bp.activity_trigger(")
    with pytest.raises(WorkerRuleError, match=r"act has a retry policy"):
        load_functions(write_app(tmp_path, code), {})


def test_the_defaults_are_the_extensions() -> None:
    found = read({})
    assert (found.hub, found.default_version, found.replace_running) == ("TestHubName", "", False)
    assert found.max_activities == found.max_orchestrations
    assert found.max_activities % 10 == 0
    assert found.retention == timedelta(days=7)


def test_every_setting_is_read() -> None:
    section = {
        "hubName": "%HUB%",
        "maxConcurrentActivityFunctions": 3,
        "maxConcurrentOrchestratorFunctions": 4,
        "overridableExistingInstanceStates": "AnyState",
        "defaultVersion": "1.2",
        "storageProvider": {"type": "azureStorage"},
    }
    found = read(section, HUB="Mine", HOST_DURABLE_RETENTION_HOURS="3")
    assert (found.hub, found.max_activities, found.max_orchestrations) == ("Mine", 3, 4)
    assert (found.replace_running, found.default_version) == (True, "1.2")
    assert found.retention == timedelta(hours=3)


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ({"hubName": "a"}, "hubName"),
        ({"hubName": "1abc"}, "hubName"),
        ({"hubName": "with-dash"}, "hubName"),
        ({"hubName": "../other"}, "hubName"),
        ({"hubName": "%NOT_SET%"}, "NOT_SET"),
        ({"maxConcurrentActivityFunctions": 0}, "maxConcurrentActivityFunctions"),
        ({"maxConcurrentOrchestratorFunctions": "x"}, "maxConcurrentOrchestratorFunctions"),
        ({"overridableExistingInstanceStates": "x"}, "overridableExistingInstanceStates"),
        ({"storageProvider": {"type": "mssql"}}, "storageProvider"),
        ({"versionMatchStrategy": "Strict"}, "versionMatchStrategy"),
        ({"notifications": {}}, "notifications"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(section: dict[str, Any], fault: str) -> None:
    with pytest.raises(HostStartError, match=fault):
        read(section)


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(HostStartError, match="HOST_DURABLE_RETENTION_HOURS"):
        read({}, HOST_DURABLE_RETENTION_HOURS="soon")


def test_a_misspelt_key_is_refused(tmp_path: Path) -> None:
    write_app(tmp_path, "", {"extensions": {"durableTask": {"hubname": "x"}}})
    with pytest.raises(HostStartError, match=r"extensions\.durableTask\.hubname"):
        load_host_json(tmp_path)
