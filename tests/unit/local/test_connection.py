"""How commands find a database: explicit settings first, then a running stack, else a clear refusal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.connection import find_connection, stack_file
from local.processes import StackError

SETTINGS = {"CosmosDb": "AccountEndpoint=http://127.0.0.1:1/;AccountKey=a2V5;", "COSMOS_DATABASE": "of-stack"}


@pytest.fixture(autouse=True)
def no_explicit_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CosmosDb", "CosmosDb__accountEndpoint", "COSMOS_DATABASE", "FLEET_GENERATION"):
        monkeypatch.delenv(name, raising=False)


def describe_stack(data: Path, pid: int) -> None:
    stack_file(data).write_text(json.dumps({"pid": pid, "settings": SETTINGS}))


def test_a_running_stack_is_found(tmp_path: Path) -> None:
    describe_stack(tmp_path, os.getpid())
    found = find_connection(tmp_path)
    assert found.settings == SETTINGS
    assert found.database == "of-stack"


def test_explicit_settings_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describe_stack(tmp_path, os.getpid())
    monkeypatch.setenv("CosmosDb", "AccountEndpoint=https://elsewhere/;AccountKey=a2V5;")
    found = find_connection(tmp_path)
    assert found.settings == {"CosmosDb": "AccountEndpoint=https://elsewhere/;AccountKey=a2V5;"}
    assert found.database == "vimarsh-multi-personality"
    assert found.found_in == "the environment"


def test_a_database_name_alone_applies_to_the_running_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe_stack(tmp_path, os.getpid())
    monkeypatch.setenv("COSMOS_DATABASE", "other")
    found = find_connection(tmp_path)
    assert (found.settings["CosmosDb"], found.database) == (SETTINGS["CosmosDb"], "other")


def test_without_a_stack_the_command_to_start_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        StackError, match=r"No stack runs on .* start one with `.venv/bin/python -m local up --data"
    ):
        find_connection(tmp_path)


def test_a_stack_that_was_killed_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    describe_stack(tmp_path, ended.pid)
    with pytest.raises(StackError, match=f"process {ended.pid} of .* is gone"):
        find_connection(tmp_path)
