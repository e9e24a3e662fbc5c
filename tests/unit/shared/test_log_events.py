"""Every log event is in the list, and the list holds no other. So are the fields that hold words."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from shared.log_events import LOG_EVENTS, LOG_WORDS

ROOT = Path(__file__).parents[3]
NUMBERS = {
    "absent", "caught_up", "changed", "churn", "commits", "conflicts", "corrected", "current", "days",
    "documents", "exports", "failed", "finished", "found", "generation", "left", "migrated", "missed",
    "months", "most", "oldest_age_s", "outdated_days", "pages", "partials", "patched", "people", "places",
    "poisoned", "published", "records", "refused", "repaired", "replayed", "repriced", "seconds", "shards",
    "status", "still_in_poison", "throttled", "unfinished",
}  # fmt: skip
"""Fields of events that hold numbers or truth values, which are logged as they are."""

ADDED = {"event", "level", "timestamp", "exception"}
"""Fields that the loggers add to every event, or to one with an error."""

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def calls(source: str) -> Iterator[ast.Call]:
    """Yield every call of a logger, or of what was chosen from several loggers."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        function, first = node.func, node.args[0]
        on_logger = isinstance(function, ast.Attribute) and (
            isinstance(function.value, ast.Name) and function.value.id == "_log" and function.attr in LEVELS
        )
        chosen = isinstance(function, ast.Name) and function.id == "log" and isinstance(first, ast.Constant)
        if on_logger or chosen:
            yield node


def logged(source: str) -> Iterator[str]:
    """Yield the first argument of every call of a logger."""
    for node in calls(source):
        first = node.args[0]
        assert isinstance(first, ast.Constant), "the name of an event is a literal"
        yield first.value


def fields_of(source: str) -> Iterator[tuple[str, ast.expr]]:
    """Yield the fields that calls of a logger name, with their values."""
    for node in calls(source):
        yield from ((keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg is not None)


def sources() -> Iterator[str]:
    for folder in ("shared", "functions", "ops"):
        for path in (ROOT / folder).rglob("*.py"):
            yield path.read_text(encoding="utf-8")


def is_number_at_sight(value: ast.expr) -> bool | None:
    """Say whether a literal or a call is a number; None if the code does not show it."""
    match value:
        case ast.Constant():
            return value.value is None or isinstance(value.value, int | float)
        case ast.JoinedStr() | ast.List() | ast.Dict() | ast.ListComp() | ast.DictComp():
            return False
        case ast.Call(func=ast.Name(id=name)):
            return name in {"len", "sum", "round", "int", "float", "bool"}
        case ast.Attribute(attr="__name__"):
            return False
        case _:
            return None


def test_the_list_of_log_events_is_the_events_that_are_logged() -> None:
    assert {event for source in sources() for event in logged(source)} == set(LOG_EVENTS)


def test_every_field_of_an_event_holds_numbers_or_is_in_the_list_of_words() -> None:
    """Of a field that is in neither the log would show the length of the text alone."""
    found: dict[str, list[ast.expr]] = defaultdict(list)
    for source in sources():
        for name, value in fields_of(source):
            found[name].append(value)
    assert found.keys() == NUMBERS | (LOG_WORDS.keys() - ADDED), (
        "add the field to LOG_WORDS, or to NUMBERS above"
    )
    assert not NUMBERS & LOG_WORDS.keys()
    words = {name for name in NUMBERS for value in found[name] if is_number_at_sight(value) is False}
    assert words == set()


def test_an_event_is_found_in_code() -> None:
    assert list(logged('_log.info("done", count=1)\nlog("audited")\nother.info("no")')) == ["done", "audited"]


def test_a_field_is_found_in_code_and_words_are_told_from_numbers() -> None:
    code = '_log.info("done", count=len(x), view=f"{x}", kind=type(x).__name__, shard=shard)'
    assert {name: is_number_at_sight(value) for name, value in fields_of(code)} == {
        "count": True, "view": False, "kind": False, "shard": None
    }  # fmt: skip
