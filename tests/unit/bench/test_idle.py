"""What an idle fleet costs: how often timers run, and what a request of the host costs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bench.freshness import LIVE_VIEWS, poll_delays, scheduled_worst
from bench.idle import FLEET, HOST, unit_cost
from bench.registered import feeds, longest_pause, next_due, registered_functions, runs_per_day, timers
from local.host.bindings import TimerTrigger
from local.host.ncrontab import parse_schedule
from shared.containers import VIEW_CONTAINERS
from shared.views import VIEWS
from shared.views.base import Schedule


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSMOS_DATABASE", "fleet")
    monkeypatch.setenv("FLEET_GENERATION", "1")
    monkeypatch.setenv("CosmosDb", "AccountEndpoint=http://localhost:1/;AccountKey=a2V5;")


@pytest.mark.parametrize(
    ("expression", "runs", "pause"),
    [
        ("0 2 * * * *", 24.0, 3_600.0),
        ("0 */5 * * * *", 288.0, 300.0),
        ("30 0 6,12 * * *", 2.0, 18 * 3_600.0),
        ("0 0 3 * * 1", 1 / 7, 7 * 86_400.0),
        ("00:10:00", 144.0, 600.0),
    ],
)
def test_a_schedule_says_how_often_it_runs(expression: str, runs: float, pause: float) -> None:
    schedule = parse_schedule(expression)
    assert runs_per_day(schedule) == pytest.approx(runs, rel=0.01)
    assert longest_pause(schedule) == pause


def test_the_first_of_several_timers_is_the_next() -> None:
    triggers = [TimerTrigger(parse_schedule(text), text) for text in ("0 2 * * * *", "30 */5 * * * *")]
    now = datetime(2026, 5, 1, 12, 1, 0, tzinfo=UTC)
    assert next_due(triggers, now) == 60.0
    assert next_due(triggers, datetime(2026, 5, 1, 12, 3, 0, tzinfo=UTC)) == 150.0
    assert next_due([], now) == float("inf")


def test_every_view_is_measured_or_has_the_pause_of_a_timer(app: None) -> None:
    functions = registered_functions()
    worst = scheduled_worst(functions)
    live = {name for name, view in VIEWS.items() if view.schedule is Schedule.LIVE}
    apart = set(VIEW_CONTAINERS) - {view.container for view in VIEWS.values()}
    assert worst.keys() == {*(VIEWS.keys() - live), *apart, "system_health"}
    assert LIVE_VIEWS.keys() <= live
    longest = max(longest_pause(trigger.schedule) for trigger in timers(functions).values())
    assert max(worst.values()) <= 24 * 3_600 + longest
    assert poll_delays(functions) == sum(
        trigger.poll_delay
        for name, trigger in feeds(functions).items()
        if name in ("fold_user_interactions", "publish_views")
    )


def account(client: str, container: str, operation: str, requests: int, units: float) -> dict[str, object]:
    return {
        "client": client,
        "container": container,
        "operation": operation,
        "requests": requests,
        "request_units": units,
    }


def test_a_request_of_the_host_is_told_from_all_others() -> None:
    before = [account(HOST, "users", "change_feed", 10, 15.0)]
    after = [
        account(HOST, "users", "change_feed", 30, 35.0),
        account(HOST, "users", "query", 9, 900.0),
        account(HOST, "user_sessions", "change_feed", 9, 900.0),
        account(next(iter(FLEET)), "users", "change_feed", 9, 900.0),
    ]
    assert unit_cost(before, after, "users", "change_feed") == 1.0
    assert unit_cost(after, after, "users", "change_feed") == 0.0
