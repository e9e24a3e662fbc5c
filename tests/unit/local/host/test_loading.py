"""Function apps are loaded through the real ``azure.functions`` package, or refused with a reason."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import azure.functions as func
import pytest

from local.host.bindings import CosmosTrigger, HttpTrigger, TimerTrigger
from local.host.cosmos_source import start_of
from local.host.errors import HostStartError
from local.host.lease_runner import decode_documents
from local.host.loading import load_functions
from tests.unit.local.host.apps import write_app

COSMOS = """
@app.cosmos_db_trigger(
    arg_name="documents", connection="Db", database_name="%NAME%", container_name="items", {options}
)
def on_change(documents: func.DocumentList) -> None:
    pass
"""


def cosmos_trigger(tmp_path: Path, options: str) -> CosmosTrigger:
    write_app(tmp_path, COSMOS.format(options=options))
    [spec] = load_functions(tmp_path, {"NAME": "main"})
    assert isinstance(spec.trigger, CosmosTrigger)
    return spec.trigger


def test_cosmos_trigger_defaults_are_the_extensions(tmp_path: Path) -> None:
    trigger = cosmos_trigger(tmp_path, "")
    assert trigger == CosmosTrigger(
        connection="Db",
        database="main",
        container="items",
        lease_connection="Db",
        lease_database="main",
        lease_container="leases",
        lease_prefix="",
        create_lease_container=False,
        max_items=100,
        poll_delay=5.0,
        acquire_interval=13.0,
        expiration_interval=60.0,
        renew_interval=17.0,
        start_from_beginning=False,
        start_from_time=None,
        database_attribute="%NAME%",
    )


def test_cosmos_trigger_options(tmp_path: Path) -> None:
    trigger = cosmos_trigger(
        tmp_path,
        'lease_connection="L", lease_database_name="ldb", lease_container_name="x", '
        'lease_container_prefix="p-", create_lease_container_if_not_exists=True, '
        "max_items_per_invocation=7, feed_poll_delay=20, lease_acquire_interval=100, "
        "lease_expiration_interval=900, lease_renew_interval=300, "
        'start_from_time="2026-02-16T14:19:29Z"',
    )
    assert (trigger.lease_connection, trigger.lease_database, trigger.lease_container) == ("L", "ldb", "x")
    assert (trigger.lease_prefix, trigger.create_lease_container, trigger.max_items) == ("p-", True, 7)
    assert (trigger.poll_delay, trigger.acquire_interval) == (0.02, 0.1)
    assert (trigger.expiration_interval, trigger.renew_interval) == (0.9, 0.3)
    assert trigger.start_from_time == datetime(2026, 2, 16, 14, 19, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("max_items_per_invocation=-1", "maxItemsPerInvocation"),
        ('feed_poll_delay="often"', "feedPollDelay"),
        ("lease_renew_interval=2000, lease_expiration_interval=1000", "lease_renew_interval"),
        ('start_from_time="yesterday"', "yesterday"),
        ('start_from_time="2026-01-01T00:00:00Z", start_from_beginning=True', "start_from_beginning"),
        ('start_from_beginning="perhaps"', "startFromBeginning"),
        ('lease_container_name="items"', "the container that it monitors"),
        ('lease_container_prefix="%ABSENT%"', "The setting ABSENT is not set"),
    ],
)
def test_bad_cosmos_attributes_are_named(tmp_path: Path, options: str, word: str) -> None:
    with pytest.raises(HostStartError, match=word) as caught:
        cosmos_trigger(tmp_path, options)
    assert "on_change" in str(caught.value)


def test_where_a_lease_without_position_begins(tmp_path: Path) -> None:
    now = datetime(2026, 5, 5, 5, 5, 5, tzinfo=UTC)
    assert start_of(cosmos_trigger(tmp_path, "start_from_beginning=True"), now) == "Beginning"
    assert start_of(cosmos_trigger(tmp_path, ""), now) == datetime(2026, 5, 5, 5, 5, 4, tzinfo=UTC)


def test_timers_routes_blueprints_retries_and_contexts(tmp_path: Path) -> None:
    write_app(
        tmp_path,
        """
        blueprint = func.Blueprint()

        @blueprint.function_name("tick")
        @blueprint.timer_trigger(arg_name="timer", schedule="%WHEN%", run_on_startup=True)
        @blueprint.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:01")
        async def on_tick(timer: func.TimerRequest, context: func.Context) -> None:
            pass

        @app.route(route="items/{id:int}", methods=["GET", "post"], auth_level=func.AuthLevel.ANONYMOUS)
        def item(req: func.HttpRequest) -> str:
            return ""

        @app.route()
        def plain(req: func.HttpRequest) -> str:
            return ""

        app.register_functions(blueprint)
        """,
    )
    item, plain, tick = load_functions(tmp_path, {"WHEN": "0 */5 * * * *"})
    assert item.trigger == HttpTrigger("items/{id:int}", frozenset({"GET", "POST"}), "anonymous")
    assert plain.trigger == HttpTrigger("plain", None, "function")
    assert (item.is_async, tick.is_async) == (False, True)
    assert (tick.name, tick.argument, tick.context_argument) == ("tick", "timer", "context")
    assert isinstance(tick.trigger, TimerTrigger)
    assert tick.trigger.run_on_startup
    assert tick.trigger.use_monitor
    assert tick.retry is not None
    assert tick.retry.max_retry_count == 3


def test_a_timer_more_frequent_than_a_minute_is_not_monitored(tmp_path: Path) -> None:
    write_app(
        tmp_path,
        """
        @app.timer_trigger(arg_name="t", schedule="*/5 * * * * *", use_monitor=True)
        def tick(t: func.TimerRequest) -> None:
            pass
        """,
    )
    [tick] = load_functions(tmp_path, {})
    assert isinstance(tick.trigger, TimerTrigger)
    assert not tick.trigger.use_monitor


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise RuntimeError('broken')", ["cannot be imported", "RuntimeError: broken"]),
        ("import sys\nsys.exit(3)", ["cannot be imported", "SystemExit: 3"]),
        ("app = None", ["exactly one FunctionApp", "it has 0"]),
        ("other = func.FunctionApp()", ["exactly one FunctionApp", "2: app, other"]),
        ("again = app", ["exactly one FunctionApp", "2: app, again"]),
        (
            "@app.queue_trigger(arg_name='m', queue_name='q', connection='c')\ndef f(m): pass",
            ["Function f", "queueTrigger"],
        ),
        (
            "@app.timer_trigger(arg_name='t', schedule='0 * * * * *')\n"
            "@app.blob_output(arg_name='o', path='p', connection='c')\ndef f(t, o): pass",
            ["Function f", "blob (o)"],
        ),
        (
            "@app.timer_trigger(arg_name='t', schedule='hourly')\ndef f(t): pass",
            ["schedule of function f", "hourly"],
        ),
        (
            "@app.timer_trigger(arg_name='t', schedule='0 * * * * *')\ndef f(x): pass",
            ["Function f", "['x']", "['t']"],
        ),
        (
            "@app.timer_trigger(arg_name='t', schedule='0 * * * * *')\ndef f(t): pass\n"
            "@app.function_name('f')\n@app.timer_trigger(arg_name='t', schedule='0 * * * * *')\n"
            "def g(t): pass",
            ["unique"],
        ),
    ],
)
def test_apps_that_cannot_run_are_refused(tmp_path: Path, code: str, words: list[str]) -> None:
    write_app(tmp_path, code)
    with pytest.raises(HostStartError) as caught:
        load_functions(tmp_path, {})
    for word in words:
        assert word in str(caught.value)


def test_entities_are_refused_by_name(tmp_path: Path) -> None:
    write_app(
        tmp_path,
        """
        import azure.durable_functions as df

        app = df.DFApp()

        @app.entity_trigger(context_name="context")
        def counter(context):
            pass
        """,
    )
    with pytest.raises(HostStartError, match=r"counter.*entityTrigger"):
        load_functions(tmp_path, {})


def test_no_app(tmp_path: Path) -> None:
    with pytest.raises(HostStartError, match=r"function_app\.py does not exist"):
        load_functions(tmp_path, {})


def test_documents_keep_their_system_properties() -> None:
    documents = decode_documents([{"id": "a", "_lsn": 17, "_ts": 5, "_etag": '"e"', "text": "नमस्ते"}])
    assert isinstance(documents, func.DocumentList)
    assert isinstance(documents[0], func.Document)
    assert documents[0].to_dict() == {"id": "a", "_lsn": 17, "_ts": 5, "_etag": '"e"', "text": "नमस्ते"}


def test_a_setting_that_the_fleet_refuses_is_named_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_app(tmp_path, "from shared.settings import load_settings\nload_settings()")
    monkeypatch.setenv("CosmosDb", "AccountEndpoint=https://localhost;AccountKey=a2V5;")
    monkeypatch.setenv("FLEET_SHARDS", "many")
    with pytest.raises(HostStartError, match=r"^The setting FLEET_SHARDS is not usable: .*\.$"):
        load_functions(tmp_path, {})


def test_a_timer_in_a_time_zone(tmp_path: Path) -> None:
    write_app(
        tmp_path,
        "@app.timer_trigger(arg_name='t', schedule='0 30 9 * * *')\ndef f(t: func.TimerRequest): pass",
    )
    [spec] = load_functions(tmp_path, {"WEBSITE_TIME_ZONE": "Asia/Kolkata"})
    assert isinstance(spec.trigger, TimerTrigger)
    assert spec.trigger.zone == ZoneInfo("Asia/Kolkata")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert spec.trigger.schedule.next_after(start) == datetime(2026, 1, 1, 4, 0, tzinfo=UTC)
    assert spec.trigger.expression == "0 30 9 * * * Asia/Kolkata"
    with pytest.raises(HostStartError, match=r"WEBSITE_TIME_ZONE.*'India Standard Time'.*IANA"):
        load_functions(tmp_path, {"WEBSITE_TIME_ZONE": "India Standard Time"})
