"""What the commands on views say, and how they end."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from ops import views
from ops.__main__ import cli
from shared.maintenance.rebuild import RebuildReport
from shared.units import Day

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
