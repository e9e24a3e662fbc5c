"""Log events as lines for a person at a terminal."""

from __future__ import annotations

from terminal.logs import as_line


def test_an_event_is_its_level_its_name_and_its_fields() -> None:
    event = {"throttled": 3, "event": "database_faults", "level": "warning", "timestamp": "2026-03-01"}
    assert as_line(None, "warning", event) == "warning: database_faults, throttled 3"


def test_a_text_in_an_event_neither_forges_a_line_nor_moves_the_cursor() -> None:
    event = {"override": "a\nerror: b\x1b[2J", "event": "price_override_unusable", "level": "error"}
    line = as_line(None, "error", event)
    assert line == r"error: price_override_unusable, override a\nerror: b\x1b[2J"
