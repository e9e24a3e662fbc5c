"""Figures of a document as people read them."""

from __future__ import annotations

import pytest

from terminal.figures import figure, figures_table

DOCUMENT = {
    "id": "daily_metrics_20251128",
    "usage": {"total": 1_234, "peak": None},
    "models": {"gemini": {"requests": 2, "cost_usd": 0.25}, "other": {"requests": None}},
    "alerts": [{"message": "low", "resolved": None}, {"message": "high", "resolved": True}],
    "interests": ["duty", "work"],
    "nothing": {"inner": {"figure": None}},
}


def test_figures_are_indented_as_the_document_is_nested_and_null_is_left_out() -> None:
    assert figures_table("Figures", DOCUMENT, DOCUMENT).lines(None) == [
        "Figures",
        "figure        value",
        "id            daily_metrics_20251128",
        "usage",
        "  total       1,234",
        "models",
        "  gemini",
        "    requests  2",
        "    cost_usd  0.25",
        "alerts",
        "  1",
        "    message   low",
        "  2",
        "    message   high",
        "    resolved  yes",
        "interests     duty, work",
    ]


def test_a_narrow_terminal_wraps_values_and_keeps_the_indent() -> None:
    document = {"a": {"name_of_a_figure": "one two three four five"}}
    assert figures_table("", document, ["a"]).lines(40) == [
        "figure              value",
        "──────────────────  ────────────────────",
        "a",
        "  name_of_a_figure  one two three four",
        "                    five",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (False, "no"),
        (1_234_567, "1,234,567"),
        (1.5, "1.5"),
        (0.000012, "0.000012"),
        (0.0, "0"),
        ([], "–"),
    ],
)
def test_a_figure_is_written_as_people_read_it(value: object, text: str) -> None:
    assert figure(value) == text
