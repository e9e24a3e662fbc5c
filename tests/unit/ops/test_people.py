"""What the commands on people say."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops import people
from ops.__main__ import cli
from shared.people.requests import Kind, Request, Status

RUNNING = Request("876b98367ca944c2", Kind.ERASE, "hash", "person", "ann", "2026-11-29T22:44:59Z")
ENDED = replace(
    RUNNING,
    status=Status.DONE,
    ended_at="2026-11-29T22:47:30Z",
    counts={"user_sessions": 6, "rounds": 2},
)


class _People:
    async def erase(self, *_: Any, **__: Any) -> Request:
        return RUNNING

    async def run(self, *_: Any) -> Request:
        return ENDED


def test_an_erasure_names_its_request_before_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "run_with", lambda _, work: asyncio.run(work(_People())))
    ended = CliRunner().invoke(cli, ["people", "erase", "ann", "--reason", "person"])
    assert ended.exit_code == 0
    assert ended.stderr.startswith("Request 876b98367ca944c2: ")


def test_the_rounds_of_an_erasure_are_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "run_with", lambda *_: ENDED)
    ended = CliRunner().invoke(cli, ["people", "status", ENDED.id])
    assert ended.exit_code == 0
    assert "user_sessions          6" in ended.stdout
    assert "rounds" not in ended.stdout
    assert "Rounds begun again because something was left: 2" in ended.stdout


def test_an_export_names_its_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(people, "run_with", lambda *_: replace(ENDED, kind=Kind.EXPORT, counts={}))
    ended = CliRunner().invoke(cli, ["people", "export", "ann", "--to", str(tmp_path / "person.zip")])
    assert ended.exit_code == 0
    assert "request: 876b98367ca944c2" in ended.stdout
