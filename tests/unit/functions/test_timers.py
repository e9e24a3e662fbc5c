"""Each timer calls one part of the fleet, at its own second, and never because the process starts."""

from __future__ import annotations

import pytest

from functions import timers
from tests.unit.functions.registered import RecordedFleet, functions_of, invoke, trigger_of

TIMERS = {
    "audit_feeds": ("0 */5 * * * *", "auditor.audit_all"),
    "replay_repaired": ("40 */5 * * * *", "repairer.replay_repaired"),
    "apply_prices": ("30 */5 * * * *", "repricer.apply"),
    "refresh_health": ("10 */5 * * * *", "health.publish_windows"),
    "refresh_views": ("20 */5 * * * *", "scheduled.publish_due"),
}


def test_each_timer_has_its_schedule() -> None:
    triggers = {name: trigger_of(function) for name, function in functions_of(timers.blueprint).items()}
    assert {name: trigger["schedule"] for name, trigger in triggers.items()} == {
        name: schedule for name, (schedule, _) in TIMERS.items()
    }
    for trigger in triggers.values():
        assert (trigger["type"], trigger["runOnStartup"], trigger["useMonitor"]) == (
            "timerTrigger",
            False,
            True,
        )


@pytest.mark.parametrize("name", TIMERS)
async def test_a_timer_is_one_call_of_the_fleet(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = RecordedFleet()
    monkeypatch.setattr(timers, "fleet", fleet.connect)
    await invoke(functions_of(timers.blueprint)[name], None)
    assert fleet.calls == [(TIMERS[name][1],)]
