"""Every log event is in the list, and the list holds no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from shared.log_events import LOG_EVENTS

ROOT = Path(__file__).parents[3]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def logged(source: str) -> Iterator[str]:
    """Yield the first argument of every call of a logger, or of what was chosen from several loggers."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        function, first = node.func, node.args[0]
        on_logger = isinstance(function, ast.Attribute) and (
            isinstance(function.value, ast.Name) and function.value.id == "_log" and function.attr in LEVELS
        )
        chosen = isinstance(function, ast.Name) and function.id == "log" and isinstance(first, ast.Constant)
        if on_logger or chosen:
            assert isinstance(first, ast.Constant), "the name of an event is a literal"
            yield first.value


def test_the_list_of_log_events_is_the_events_that_are_logged() -> None:
    found = {
        event
        for folder in ("shared", "functions", "ops")
        for path in (ROOT / folder).rglob("*.py")
        for event in logged(path.read_text(encoding="utf-8"))
    }
    assert found == set(LOG_EVENTS)


def test_an_event_is_found_in_code() -> None:
    assert list(logged('_log.info("done", count=1)\nlog("audited")\nother.info("no")')) == ["done", "audited"]
