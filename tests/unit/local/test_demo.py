"""The demonstration refuses what would make its figures wrong; the commands refuse what makes no sense."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from azure.core.exceptions import ServiceRequestError
from typer.testing import CliRunner

from local import __main__ as commands
from local.__main__ import app
from local.demo import run_demo
from local.host.errors import HostStartError
from local.processes import ROOT, StackError
from local.seed.traffic import TrafficPlan


async def test_a_directory_with_documents_of_its_own_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cosmos").mkdir()
    with pytest.raises(StackError, match="holds a database already"):
        await run_demo(TrafficPlan(1, 1, 1, 1), data=tmp_path, instances=1, timeout=1, as_json=True)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["seed", "--users", "0"], "--users"),
        (["up", "--cosmos-port", "70000"], "--cosmos-port"),
        (["up", "--instances", "-1"], "--instances"),
        (["seed", "--until", "tomorrow"], "--until"),
        (["host"], "--instance"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_wrong_options_are_named_and_end_with_code_2(arguments: list[str], word: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert word in result.output


@pytest.mark.parametrize(
    ("failure", "code", "sentence"),
    [
        (ServiceRequestError("refused\nmore"), 3, "error: The database did not do as asked: refused"),
        (ServiceRequestError(""), 3, "error: The database did not do as asked: ServiceRequestError"),
        (HostStartError("The setting X must be set."), 2, "error: The setting X must be set."),
        (OSError("no \x1b[2J room"), 1, "error: no \\x1b[2J room"),
    ],
)
def test_a_failure_is_one_sentence_and_an_exit_code(
    failure: Exception, code: int, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise failure

    monkeypatch.setattr(commands, "find_connection", fail)
    ended = CliRunner().invoke(app, ["settle"])
    assert (ended.exit_code, ended.stderr, ended.stdout) == (code, f"{sentence}\n", "")


def test_every_command_of_the_stack_exists_and_explains_itself() -> None:
    for command in ("up", "cosmos", "host", "seed", "settle", "run", "demo"):
        result = CliRunner().invoke(app, [command, "--help"])
        assert result.exit_code == 0
        assert "Usage:" in result.output


def test_the_sample_settings_are_what_the_core_tools_expect() -> None:
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())
    assert sample["IsEncrypted"] is False
    assert sample["Values"]["FUNCTIONS_WORKER_RUNTIME"] == "python"
    assert {"AzureWebJobsStorage", "CosmosDb", "COSMOS_DATABASE", "ArchiveStorage"} <= set(sample["Values"])
    assert all(isinstance(value, str) for value in sample["Values"].values())
