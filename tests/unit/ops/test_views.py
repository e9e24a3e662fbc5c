"""What the commands on views say, and how they end."""

from __future__ import annotations

import asyncio
import json

import pytest
from typer.testing import CliRunner

from ops import views
from ops.__main__ import cli
from ops.console import reported
from shared.maintenance.rebuild import RebuildReport
from shared.settings import Settings
from shared.units import Day
from shared.views import VIEWS

OUTDATED = RebuildReport(["daily_metrics"], outdated=[Day("2025-09-15"), Day("2025-09-14")])


def test_a_rebuild_names_the_days_whose_facts_lack_a_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "run", lambda _: OUTDATED)
    ended = CliRunner().invoke(cli, ["views", "rebuild", "daily_metrics"])
    assert ended.exit_code == 1
    assert "lack a field that the views need: 2025-09-14 to 2025-09-15." in " ".join(ended.stderr.split())


def test_a_rebuild_of_complete_facts_ends_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "run", lambda _: RebuildReport(["daily_metrics"]))
    assert CliRunner().invoke(cli, ["views", "rebuild"]).exit_code == 0


def test_the_report_lists_the_days_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "run", lambda _: OUTDATED)
    ended = CliRunner().invoke(cli, ["views", "rebuild", "--json"])
    assert json.loads(ended.stdout)["outdated"] == ["2025-09-15", "2025-09-14"]


class _Fleet:
    """Says which views are ready, which are not all published, and whether the generation is complete."""

    def __init__(self, *, complete: bool = True) -> None:
        self.readiness = self.generations = self
        self.settings = Settings(FLEET_GENERATION=3)
        self._complete = complete

    async def ready(self) -> frozenset[str]:
        return frozenset(VIEWS) - {"daily_metrics"}

    async def unpublished(self) -> frozenset[str]:
        return frozenset({"incidents_by_content"})

    async def is_complete(self) -> bool:
        return self._complete


def listed(monkeypatch: pytest.MonkeyPatch, fleet: _Fleet, *options: str) -> str:
    monkeypatch.setattr(views, "run", lambda work: asyncio.run(work(fleet)))
    ended = CliRunner().invoke(cli, ["views", "list", *options])
    assert ended.exit_code == 0
    return ended.stdout


def test_the_list_says_why_views_are_not_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {row["view"]: row for row in json.loads(listed(monkeypatch, _Fleet(), "--json"))}
    assert {name for name, row in rows.items() if not row["complete"]} == {
        "daily_metrics",
        "incidents_by_content",
    }
    assert rows["daily_metrics"]["held_back"] == "not counted yet, rebuild it"
    assert rows["incidents_by_content"]["held_back"] == "not all published, rebuild it"
    assert all(row["held_back"] is None for row in rows.values() if row["complete"])


def test_all_views_of_a_generation_that_still_counts_are_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = _Fleet(complete=False)
    rows = json.loads(listed(monkeypatch, fleet, "--json"))
    assert {(row["complete"], row["held_back"]) for row in rows} == {(False, "generation 3 still counts")}
    assert "yes" not in listed(monkeypatch, fleet)
    assert "generation 3 still counts" in " ".join(listed(monkeypatch, fleet).split())


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ("daily_metrics", "'2025-13-05' is not a key of daily_metrics: one is 2025-08-05"),
        ("nothing", "'nothing' is not a view: daily_metrics"),
    ],
)
def test_a_document_that_cannot_exist_is_refused_before_anything_is_published(
    monkeypatch: pytest.MonkeyPatch, view: str, said: str
) -> None:
    nothing_can_be_published = object()
    monkeypatch.setattr(views, "run", lambda work: reported(lambda: work(nothing_can_be_published)))
    ended = CliRunner().invoke(cli, ["views", "publish", view, "2025-13-05"])
    assert ended.exit_code == 1
    assert ended.stderr.startswith(said)
