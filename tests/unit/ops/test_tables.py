"""Every table of every command, at 80 and 120 columns and in a pipe, with texts of strangers in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ops.__main__ import cli
from shared.cosmos.charges import Cost
from shared.ledger.generations import Generation
from shared.maintenance.audit import AuditReport
from shared.maintenance.decide import Action, DecisionReport, Refusal
from shared.poison.rows import Status
from shared.poison.selection import LISTED, Cause, PoisonGroup
from shared.pricing.price_book import Overrides
from shared.pricing.table import list_prices
from terminal import output
from tests.unit.terminal.hostile import ids, texts, unsafe

WIDTHS = st.sampled_from([80, 120, None])
TIME = "2026-11-28T20:15:00.123Z"


def row(row_id: str, text: str) -> dict[str, Any]:
    """Return a listed row in which everything that a document can decide is a text of its author."""
    known = dict.fromkeys(LISTED, text) | {
        "id": row_id,
        "source_container": "user_interactions",
        "handler": "fold_interactions",
        "attempts": 3,
        "status": Status.PENDING.value,
    }
    return known | {name: TIME for name in LISTED if name.endswith("_at")}


def group(row_id: str, text: str) -> PoisonGroup:
    cause = Cause("user_interactions", "fold_interactions", "DocumentError", text)
    return PoisonGroup(cause, 1_234_567, TIME, TIME, row_id)


def decision(row_id: str, text: str) -> tuple[list[dict[str, Any]], DecisionReport]:
    report = DecisionReport(Action.REPLAY, [row_id], {text: Refusal(text, [row_id])})
    return [row(row_id, text)], report


def day(row_id: str, text: str) -> dict[str, Any]:
    figures = {"requests": 1, "cost_usd": 0.5, text: text}
    performance = {"total_cost_usd": None, "model_performance": {text: figures, row_id: figures}}
    return {
        "id": "daily_metrics_20261128",
        "calculated_at": TIME,
        "ai_performance": performance,
        "quality_metrics": {text: {row_id: [text, None, 1.5]}},
    }


Answer = Callable[[str, str], Any]

TABLES: dict[tuple[str, ...], tuple[str, Answer]] = {
    ("poison", "list"): ("poison", lambda row_id, text: ([row(row_id, text)] * 2, 207)),
    ("poison", "groups"): ("poison", lambda row_id, text: [group(row_id, text)]),
    ("poison", "replay", "--all"): ("poison", decision),
    ("poison", "replay", "--all", "--dry-run"): ("poison", decision),
    ("metrics", "day", "2026-11-28"): ("metrics", day),
}
"""Commands that print texts of documents: the module that prints, and what the fleet answers."""

PLAIN: dict[tuple[str, ...], tuple[str, Any]] = {
    ("prices", "list"): ("prices", Overrides(list(list_prices()), {"our-proxy/fast": "gemini-2-5-flash"})),
    ("views", "list"): ("views", (frozenset({"daily_metrics"}), frozenset())),
    ("generations", "list"): ("generations", (2, {1: Generation(64, 1_760_000_000, True)})),
    ("audit", "run"): (
        "audit",
        [AuditReport("user_interactions", 1_000, 0, False, Cost()), AuditReport("view_state", cost=Cost())],
    ),
}
"""Commands that print the fleet's own words only."""


def printed(command: tuple[str, ...], module: str, answer: Any, width: int | None) -> tuple[str, int]:
    """Return what a command prints on a terminal of this width, and its exit code."""
    with (
        patch.object(import_module(f"ops.{module}"), "run", lambda _: answer),
        patch.object(output, "width_of", lambda _: width),
    ):
        ended = CliRunner().invoke(cli, list(command))
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended.output, ended.exit_code


@pytest.mark.parametrize("command", TABLES, ids=" ".join)
@given(row_id=ids, text=texts, width=WIDTHS)
def test_only_printable_text_is_printed_and_ids_are_whole(
    command: tuple[str, ...], row_id: str, text: str, width: int | None
) -> None:
    module, answer = TABLES[command]
    text_printed, _ = printed(command, module, answer(row_id, text), width)
    assert unsafe(text_printed) == set()
    if module == "poison":
        assert any(row_id in line for line in text_printed.splitlines())


@pytest.mark.parametrize("command", TABLES, ids=" ".join)
@given(row_id=ids, text=texts)
def test_json_is_printable_and_complete(command: tuple[str, ...], row_id: str, text: str) -> None:
    module, answer = TABLES[command]
    text_printed, _ = printed((*command, "--json"), module, answer(row_id, text), None)
    assert unsafe(text_printed) == set()
    assert row_id in json.dumps(json.loads(text_printed))


POISON_ID = "poison_0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("width", [80, 120, None])
@pytest.mark.parametrize("command", [*TABLES, *PLAIN], ids=" ".join)
def test_tables_of_usual_texts_fit_the_terminal(command: tuple[str, ...], width: int | None) -> None:
    if command in PLAIN:
        module, answer = PLAIN[command]
    else:
        module, make = TABLES[command]
        answer = make(POISON_ID, "cost_data.input_tokens")
    lines = printed(command, module, answer, width)[0].splitlines()
    assert len(lines) > 1
    if width is not None:
        assert [line for line in lines if len(line) > width] == []
    assert not any("…" in line for line in lines)
