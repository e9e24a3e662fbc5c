"""A function that blocks the event loop is named while it still blocks."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from local.host.watchdog import LoopWatchdog


async def test_a_blocked_loop_is_reported_with_the_function_and_the_line() -> None:
    reports: list[tuple[str, Mapping[str, Any]]] = []
    reported = threading.Event()

    def report(event: str, fields: Mapping[str, Any]) -> None:
        reports.append((event, fields))
        reported.set()

    watchdog = LoopWatchdog(lambda: ["slow"], limit=0.05, report=report)
    watchdog.start()
    assert reported.wait(10)  # this blocks the loop, until the report that it does
    watchdog.stop()
    [(event, fields)] = reports
    assert event == "event_loop_blocked"
    assert fields["functions"] == ["slow"]
    assert fields["blocked_ms"] >= 50
    assert any("test_watchdog.py" in line for line in fields["where"])
