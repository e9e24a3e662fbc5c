"""The examples of the page about input are read as the page says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.documents.interactions import parse_interaction
from shared.documents.sessions import parse_session
from shared.documents.users import owner_of, parse_user
from shared.errors import DocumentError
from shared.facts import USERS, InteractionFact, consent_fact, interaction_fact
from shared.facts.sessions import session_fact
from shared.ingest.sources import SOURCES
from shared.pricing.table import PriceTable, list_prices
from shared.units import MICROS
from tests.independent import input as independent

PAGE = (Path(__file__).parents[3] / "docs/input.md").read_text(encoding="utf-8")
PRICES = PriceTable(list_prices())
MINIMAL = {"id": "i1", "user_id": "u1", "timestamp": "2025-08-05T14:39:15.127Z"}


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table of a section whose first column are examples."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    table = [[cell.strip() for cell in line[2:-2].split(" | ")] for line in lines]
    return [cells for cells in table if is_example(cells[0])]


def is_example(cell: str) -> bool:
    try:
        json.loads(cell.strip("`"))
    except ValueError:
        return False
    return True


def examples(*headings: str) -> list[tuple[str, object, str]]:
    return [(each, json.loads(cells[0].strip("`")), cells[1]) for each in headings for cells in rows(each)]


def fact(**change: Any) -> InteractionFact:
    return interaction_fact(parse_interaction(MINIMAL | change), PRICES)


def iso(text: str) -> str:
    """Return a time of an interaction as the page has it: milliseconds only if there are any."""
    moment = parse_interaction(MINIMAL | {"timestamp": text}).asked
    assert moment is not None
    assert independent.time_of(text) == moment
    whole = moment.astimezone(independent.UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    return whole.removesuffix(".000") + "Z"


def chapter(value: object) -> str:
    cited = fact(foundational_texts_used=[{"source": "gita", "chapter": value}]).citations[0]
    return "`, `".join(part for part in cited.passage[1:] if part is not None)


def score(value: object) -> str:
    read = fact(quality_metrics={"safety_score": value})
    clean = independent.with_scores({"quality_metrics": {"safety_score": value}}, "user_interactions")
    assert clean["dropped_scores"] == read.dropped_scores
    if read.safety is None:
        assert read.dropped_scores == 1
        return "left out"
    assert read.safety == pytest.approx(clean["quality_metrics"]["safety_score"] * MICROS)
    return str(read.safety / MICROS)


def version(value: object) -> str:
    read = parse_interaction(MINIMAL | {"schema_version": value})
    return f"version {value}" if read.newer_version is None else "version 1.1, counted as newer"


READINGS: dict[str, Callable[[Any], str]] = {
    "Times": lambda value: f"`{iso(value)}`",
    "Ids": lambda value: f"`{fact(session_id=value).session_id}`",
    "Names": lambda value: f"`{fact(response_metadata={'personality_used': value}).persona}`",
    "Models": lambda value: f"`{fact(cost_data={'model_used': value}).model}`",
    "Chapters and verses": lambda value: f"`{chapter(value)}`",
    "Numbers": lambda value: f"`{fact(cost_data={'input_tokens': value}).tokens_in}`",
    "Scores": lambda value: score(value) if score(value) == "left out" else f"`{score(value)}`",
    "Schema versions": version,
}


@pytest.mark.parametrize(("heading", "value", "outcome"), examples(*READINGS))
def test_an_example_is_read_or_refused_as_the_page_says(heading: str, value: object, outcome: str) -> None:
    refused = re.fullmatch(r"refused: `([\w.]+)` (.*)", outcome)
    if refused is None:
        assert READINGS[heading](value) == outcome
        return
    with pytest.raises(DocumentError) as caught:
        READINGS[heading](value)
    assert caught.value.field == refused[1]
    assert caught.value.problem.endswith(refused[2])
    if heading == "Times":
        read = independent.time_of(value)
        assert read is None or not 2000 <= read.year < 2100


@pytest.mark.parametrize("heading", [*READINGS, "Sessions", "Accounts"])
def test_every_section_has_examples(heading: str) -> None:
    assert len(rows(heading)) >= 6


@pytest.mark.parametrize(("_", "end", "outcome"), examples("Sessions"))
def test_the_length_of_a_session_is_what_the_page_says(_: str, end: object, outcome: str) -> None:
    session = {"id": "s", "user_id": "u", "start_time": "2025-09-01T10:00:00.500Z", "status": "completed"}
    if outcome.startswith("refused"):
        with pytest.raises(DocumentError, match=r"^end_time is .*; must not be before the session's start$"):
            parse_session(session | {"end_time": end})
        return
    seconds = session_fact(parse_session(session | {"end_time": end})).seconds
    assert outcome.partition(":")[0] == ("unknown" if seconds is None else f"{seconds} s")


@pytest.mark.parametrize("cells", rows("Accounts"), ids=lambda cells: cells[0])
def test_an_account_has_the_owner_and_the_consent_that_the_page_says(cells: list[str]) -> None:
    account, owner, analytics = json.loads(cells[0].strip("`")), cells[1], cells[2].partition(":")
    assert owner_of(account) == independent.owner_of(account) == owner
    assert independent.refuses(account) is (analytics[0] == "no")
    if analytics[2] != " refused":
        assert consent_fact(parse_user(account)).refused is (analytics[0] == "no")
        assert parse_user(account).user_id == owner
        return
    with pytest.raises(DocumentError) as caught:
        parse_user(account)
    change = SOURCES[USERS].to_uncounted(account, caught.value, False)
    assert change is not None
    assert (change.user_id, getattr(change.fact, "refused", False)) == (owner, True)
