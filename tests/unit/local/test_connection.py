"""How commands find a database: explicit settings first, then a running stack, else a clear refusal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.connection import export_lines, find_connection, stack_file
from local.processes import StackError

SETTINGS = {"CosmosDb": "AccountEndpoint=http://127.0.0.1:1/;AccountKey=a2V5;", "COSMOS_DATABASE": "of-stack"}


@pytest.fixture(autouse=True)
def no_explicit_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*OPTIONS, "FLEET_HASH_KEYS"):
        monkeypatch.delenv(name, raising=False)


def describe_stack(data: Path, pid: int) -> None:
    stack_file(data).write_text(json.dumps({"pid": pid, "settings": SETTINGS}))


def test_a_running_stack_is_found(tmp_path: Path) -> None:
    describe_stack(tmp_path, os.getpid())
    found = find_connection(tmp_path)
    assert found.settings == SETTINGS
    assert found.database == "of-stack"


ELSEWHERE = "AccountEndpoint=https://elsewhere/;AccountKey=a2V5;"
OPTIONS = {
    "CosmosDb": (None, SETTINGS["CosmosDb"], ELSEWHERE),
    "CosmosDb__accountEndpoint": (None, "https://elsewhere/"),
    "COSMOS_DATABASE": (None, "other"),
    "FLEET_GENERATION": (None, "2"),
}


@pytest.mark.parametrize("values", [*product(*OPTIONS.values())])
def test_an_account_and_a_database_win_over_a_stack_and_a_bare_connection_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: tuple[str | None, ...]
) -> None:
    """A command has one account, that account's database, and all settings of a stack."""
    describe_stack(tmp_path, os.getpid())
    for name, value in zip(OPTIONS, values, strict=True):
        if value is not None:
            monkeypatch.setenv(name, value)
    secret, endpoint, database, generation = values
    found = find_connection(tmp_path)
    foreign = secret == ELSEWHERE or (endpoint is not None and secret is None)
    if foreign and database:
        assert found.found_in == "the environment"
        assert found.settings.get("CosmosDb") == secret
    else:
        assert found.found_in == str(stack_file(tmp_path))
        assert found.settings["CosmosDb"] == SETTINGS["CosmosDb"]
        assert "CosmosDb__accountEndpoint" not in found.settings
    assert found.database == database or (database is None and found.database == "of-stack")
    assert found.settings.get("FLEET_GENERATION", "1") == (generation or "1")


def test_without_a_stack_a_bare_connection_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CosmosDb", ELSEWHERE)
    found = find_connection(tmp_path)
    assert (found.settings, found.found_in) == ({"CosmosDb": ELSEWHERE}, "the environment")
    assert found.database == "vimarsh-multi-personality"


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"X_[A-Za-z0-9_]{1,20}", fullmatch=True),
        st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r")),
        max_size=3,
    )
)
def test_a_shell_has_the_settings_that_are_exported_to_it_whatever_they_hold(values: dict[str, str]) -> None:
    lines = "\n".join(export_lines({"CosmosDb": "a;b=c&d", **values}))
    before = {"PATH": os.environ["PATH"], "CosmosDb__accountEndpoint": "https://elsewhere/"}
    done = subprocess.run(["bash", "-c", f"{lines}\nenv -0"], env=before, capture_output=True, check=True)
    seen = dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if line)
    assert {name: seen.get(name) for name in values} == values
    assert seen["CosmosDb"] == "a;b=c&d"
    assert "CosmosDb__accountEndpoint" not in seen


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
