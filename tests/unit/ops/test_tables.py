"""Every table of every command, at 80 and 120 columns and in a pipe, with texts of strangers in it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from importlib import import_module
from typing import Any
from unittest.mock import patch

import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ops import rehearsal
from ops.__main__ import cli
from ops.checkup import Finding, Verdict
from ops.rehearsal import RehearsalReport, ViewReport
from shared.archive.archiver import ContainerReport
from shared.archive.archiver import Status as ArchiveStatus
from shared.archive.counting import CountReport
from shared.archive.names import BlobName
from shared.archive.restore import RestoreReport
from shared.archive.store import Archived
from shared.archive.verify import Kind, Problem, VerifyReport
from shared.cosmos.container_plan import Drift, Plan
from shared.cosmos.provisioning import ProvisioningReport
from shared.ledger.generations import Generation
from shared.maintenance.audit_run import AuditReport
from shared.maintenance.decide import Action, DecisionReport, Refusal
from shared.maintenance.migrate import MigrationReport
from shared.maintenance.migrate_walk import Tally
from shared.maintenance.rebuild import RebuildReport
from shared.maintenance.remove_generation import RemovalReport
from shared.maintenance.repair import PutReport
from shared.maintenance.reprice import RepriceReport
from shared.people import requests
from shared.people.people import ReapplyReport
from shared.people.requests import Request
from shared.poison.rows import Status
from shared.poison.selection import LISTED, Cause, PoisonGroup
from shared.pricing.price_book import Overrides
from shared.pricing.table import list_prices
from shared.publishing.report import PublishReport
from shared.publishing.scheduled import ScheduledReport
from shared.publishing.system_health import HealthReport
from shared.storage.blobs import Stored
from shared.units import Day
from terminal import output
from terminal.output import Exit
from tests.unit.ops.test_conventions import LEAVES, OFFLINE
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


def archived(row_id: str, text: str) -> Archived:
    metadata = {"container": text, "ts": "1760000000", "etag": text, "part": text}
    stored = Stored(row_id, 1_234_567, b"", metadata, text, datetime(2026, 11, 28, tzinfo=UTC))
    name = BlobName(date(2026, 11, 28), text, text, 2)
    return Archived(name, text, text, 1_760_000_000, text, 1, True, text, text, None, stored)


def migrated(row_id: str, text: str) -> MigrationReport:
    report = MigrationReport("users", "1.0", tally=Tally(Counter({text: 1_234_567}), moved=3, ending=1))
    report.tally.left[text] = 1_234
    report.examples.append((text, row_id))
    return report


def restored(row_id: str, text: str) -> RestoreReport:
    report = RestoreReport(blobs=[(row_id, "damaged")])
    report.results["restored"] = 1_234_567
    return report


def request(row_id: str, text: str, kind: requests.Kind = requests.Kind.EXPORT) -> Request:
    counts = {text: 1, row_id: 1_234_567}
    return Request(row_id, kind, text, text, text, TIME, counts=counts, ended_at=TIME)


def request_of_erasure(row_id: str, text: str) -> Request:
    return request(row_id, text, requests.Kind.ERASE)


Answer = Callable[[str, str], Any]

TABLES: dict[tuple[str, ...], tuple[str, Answer]] = {
    ("poison", "list"): ("poison", lambda row_id, text: ([row(row_id, text)] * 2, 207)),
    ("poison", "groups"): ("poison", lambda row_id, text: [group(row_id, text)]),
    ("poison", "replay", "--all"): ("poison", decision),
    ("poison", "replay", "--all", "--dry-run"): ("poison", decision),
    ("poison", "resolve", "--all"): ("poison", decision),
    ("poison", "discard", "--all"): ("poison", decision),
    ("metrics", "day", "2026-11-28"): ("metrics", day),
    ("views", "show", "daily_metrics", "daily_metrics_20261128"): (
        "views",
        lambda row_id, text: [{**day(row_id, text), "top": [{"name": text, "ids": [row_id]}], "none": None}],
    ),
    ("views", "publish", "daily_metrics", "2026-11-28"): (
        "views",
        lambda row_id, text: PublishReport(1, published=1, poisoned=[f"{row_id}{text}"]),
    ),
    ("documents", "put", "users", "-"): (
        "documents",
        lambda row_id, text: PutReport("users", text, text, row_id),
    ),
    ("containers", "apply"): (
        "containers",
        lambda row_id, text: ProvisioningReport(
            [row_id], drifted=[Drift(row_id, text, text, text)], refused=[f"{row_id}: {text}"]
        ),
    ),
    ("containers", "plan"): (
        "containers",
        lambda row_id, text: Plan(
            create=[row_id],
            change=[Drift(row_id, text, text, [text, None])],
            impossible=[Drift(row_id, text, text, text, remedy=text or "none")],
        ),
    ),
    ("archive", "list"): ("archive", lambda row_id, text: [archived(row_id, text)] * 2),
    ("archive", "show", "x"): (
        "archive",
        lambda row_id, text: (json.dumps({text: text}).encode(), archived(row_id, text)),
    ),
    ("archive", "verify"): (
        "archive",
        lambda row_id, text: VerifyReport(1, 2, 3, 4, [Problem(Kind.LOST, row_id)]),
    ),
    ("archive", "restore", "--user", "x"): ("archive", restored),
    ("schema", "migrate", "users", "--to", "1.0"): ("schema", migrated),
    ("people", "export", "x", "--to", "blob"): (
        "people",
        lambda row_id, text: (request(row_id, text), f"https://account/{row_id}"),
    ),
    ("people", "erase", "x", "--reason", "person"): ("people", request_of_erasure),
    ("people", "erase", "x", "--reason", "person", "--dry-run"): (
        "people",
        lambda row_id, text: {row_id: 1_234_567, text: 1},
    ),
    ("people", "status", "request-1"): ("people", request_of_erasure),
    ("people", "reapply"): ("people", lambda row_id, _: ReapplyReport(3, (row_id,))),
    ("doctor",): (
        "doctor",
        lambda row_id, text: ([Finding(row_id, Verdict.WARNING, text, text or None)], Exit.DONE),
    ),
}
"""Commands that print texts of documents: the module that prints, and what the fleet answers."""

AS_JSON: dict[tuple[str, ...], tuple[str, Answer]] = {
    ("poison", "show", "poison_1"): ("poison", row),
    ("documents", "get", "users", "a", "b"): ("documents", lambda row_id, text: ("users", day(row_id, text))),
}
"""Commands that always print JSON."""

PLAIN: dict[tuple[str, ...], tuple[str, Any]] = {
    ("prices", "list"): ("prices", Overrides(list(list_prices()), {"our-proxy/fast": "gemini-2-5-flash"})),
    ("views", "list"): ("views", (frozenset({"daily_metrics"}), frozenset(), None)),
    ("generations", "list"): ("generations", (2, {1: Generation(64, 1_760_000_000, True)})),
    ("audit", "run"): (
        "audit",
        [AuditReport("user_interactions", 1_000), AuditReport("view_state", due_at=1_760_000_000)],
    ),
    ("archive", "run"): ("archive", [ContainerReport("user_interactions"), ContainerReport("user_sessions")]),
    ("archive", "count"): ("archive", CountReport(3, 1_234_567, 1_234_567, 1, 2, 0)),
    ("archive", "status"): (
        "archive",
        [
            ArchiveStatus("user_interactions", 180, 1_760_000_000, 1_234_567, 0, {"ended": TIME}),
            ArchiveStatus("user_sessions", 60, None, 0, 1_234_567, None),
        ],
    ),
    ("recovery", "rehearse"): (
        "recovery",
        RehearsalReport(
            {"personality_vectors": rehearsal.ContainerReport(1_234_567, 1, 1_234_566, False)},
            {"content_popularity": ViewReport(1_234, 1_234, 1_234, 7)},
            ["content_popularity.top_foundational_texts"],
            seconds={"restore": 12.345},
        ),
    ),
    ("poison", "redact"): ("poison", 1_234_567),
    ("views", "refresh"): ("views", (ScheduledReport(1, 2, 3, 1_234_567), HealthReport(1, 2))),
    ("views", "rebuild"): ("views", RebuildReport(["daily_metrics"], outdated=[Day("2025-09-15")])),
    ("prices", "put", "gemini", "--in", "1", "--out", "2", "--from", "2025-08-05"): (
        "prices",
        RepriceReport(True, 64, 1_234_567, 1_234_567, 1, False),
    ),
    ("prices", "remove", "gemini", "--from", "2025-08-05"): ("prices", RepriceReport(True, 64)),
    ("prices", "alias", "fast", "gemini"): ("prices", RepriceReport(True, 64)),
    ("prices", "apply"): ("prices", RepriceReport(settles_in=700)),
    ("generations", "remove", "1"): ("generations", RemovalReport(1, 3, 1_234_567, 2)),
}
"""Commands that print the fleet's own words only."""


def printed(command: tuple[str, ...], module: str, answer: Any, width: int | None) -> Result:
    """Return what a command prints on a terminal of this width."""
    printing = import_module(f"ops.{module}")
    connecting = next(n for n in ("run", "run_with", "reported") if hasattr(printing, n))
    with (
        patch.object(printing, connecting, lambda *_: answer),
        patch.object(output, "width_of", lambda _: width),
    ):
        ended = CliRunner().invoke(cli, list(command), input="{}")
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


@pytest.mark.parametrize("command", TABLES, ids=" ".join)
@settings(max_examples=40)
@given(row_id=ids, text=texts, width=WIDTHS)
def test_only_printable_text_is_printed_and_ids_are_whole(
    command: tuple[str, ...], row_id: str, text: str, width: int | None
) -> None:
    module, answer = TABLES[command]
    text_printed = printed(command, module, answer(row_id, text), width).output
    assert unsafe(text_printed) == set()
    if module == "poison":
        assert any(row_id in line for line in text_printed.splitlines())


@pytest.mark.parametrize("command", [*TABLES, *AS_JSON], ids=" ".join)
@settings(max_examples=40)
@given(row_id=ids, text=texts)
def test_json_is_printable_and_complete(command: tuple[str, ...], row_id: str, text: str) -> None:
    module, answer = (TABLES | AS_JSON)[command]
    option = ["--json"] if command in TABLES else []
    text_printed = printed((*command, *option), module, answer(row_id, text), None).stdout
    assert unsafe(text_printed) == set()
    assert row_id in json.dumps(json.loads(text_printed))


@pytest.mark.parametrize("command", PLAIN, ids=" ".join)
def test_json_of_the_fleets_own_words_is_json(command: tuple[str, ...]) -> None:
    module, answer = PLAIN[command]
    assert isinstance(json.loads(printed((*command, "--json"), module, answer, 80).stdout), dict | list)


def test_every_command_is_tested_here() -> None:
    tested = {command[:2] for command in (*TABLES, *PLAIN, *AS_JSON)}
    assert {path for path, _ in LEAVES if path[0] not in OFFLINE} == tested


POISON_ID = "poison_0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("width", [80, 120, None])
@pytest.mark.parametrize("command", [*TABLES, *PLAIN], ids=" ".join)
def test_tables_of_usual_texts_fit_the_terminal(command: tuple[str, ...], width: int | None) -> None:
    if command in PLAIN:
        module, answer = PLAIN[command]
    else:
        module, make = TABLES[command]
        answer = make(POISON_ID, "cost_data.input_tokens")
    lines = printed(command, module, answer, width).output.splitlines()
    assert lines
    if width is not None:
        assert [line for line in lines if len(line) > width] == []
    assert not any("…" in line for line in lines)


@pytest.mark.parametrize(
    ("command", "heading"),
    [
        (("poison", "list"), "id  last failed  times  status"),
        (("poison", "groups"), "rows  field  source  handler  error"),
        (("audit", "run"), "feed  documents  repaired  still in poison  caught up  RU"),
        (("prices", "list"), "model  from  up to  in  cached  out"),
    ],
)
def test_a_row_stays_a_row_at_80_columns(command: tuple[str, ...], heading: str) -> None:
    if command in PLAIN:
        module, answer = PLAIN[command]
    else:
        module, make = TABLES[command]
        answer = make(POISON_ID, "cost_data.input_tokens")
    lines = printed(command, module, answer, 80).output.splitlines()
    assert heading.split() in [line.split() for line in lines], lines
