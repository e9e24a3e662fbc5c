"""Rules that every command follows, also those that are added later."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator

import click
import pytest
import typer
from typer.testing import CliRunner

from local.__main__ import app
from ops.__main__ import cli

WITHOUT_JSON = {
    "poison show",
    "documents get",
    *(f"docs {name}" for name in ("fields", "scores", "sources", "containers", "roles", "cost")),
}
"""Commands whose output is JSON or a page anyway; their help says so."""

OFFLINE = {"docs", "cost"}
"""Groups whose commands need no connection."""

Path = tuple[str, ...]


def walk(command: click.Command, path: Path = ()) -> Iterator[tuple[Path, click.Command]]:
    """Yield every group and command with its path."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, (*path, name))


PROGRAMS = {"fleet": cli, "local": app}
EVERY = [
    (program, path, command)
    for program, made in PROGRAMS.items()
    for path, command in walk(typer.main.get_command(made))
]
LEAVES = [
    (path, command)
    for program, path, command in EVERY
    if program == "fleet" and not hasattr(command, "commands")
]


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[" ".join(path) for path, _ in LEAVES])
def test_every_command_prints_json_if_asked(path: Path, command: click.Command) -> None:
    options = {option for parameter in command.params for option in parameter.opts}
    assert ("--json" in options) is (" ".join(path) not in WITHOUT_JSON)
    assert "--json" in options or re.search(r"as JSON|docs/\w+\.md", command.help or "")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    ("program", "path", "command"), EVERY, ids=[" ".join((program, *path)) for program, path, _ in EVERY]
)
def test_help_is_complete_and_as_wide_as_the_terminal(
    program: str, path: Path, command: click.Command, width: int
) -> None:
    shown = CliRunner().invoke(PROGRAMS[program], [*path, "--help"], env={"COLUMNS": str(width)})
    assert shown.exit_code == 0
    assert all(len(line) <= width for line in shown.stdout.splitlines())
    words = re.sub(r"[│╭╮╰╯─]", " ", shown.stdout).split()
    text = " ".join(words)
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        assert set((getattr(parameter, "help", None) or "").split()) <= set(words)
    for child in getattr(command, "commands", {}).values():
        summary = (child.help or "").split("\n\n")[0].split()
        assert summary
        assert set(summary) <= set(words)
    assert " ".join((command.help or "").split("\n\n")[0].split()) in text


@pytest.mark.parametrize("path", [path for path, _ in LEAVES], ids=" ".join)
def test_wrong_usage_ends_with_2(path: Path) -> None:
    ended = CliRunner().invoke(cli, [*path, "--no-such-option"])
    assert ended.exit_code == 2


@pytest.mark.parametrize("path", [path for path, _ in LEAVES if path[0] not in OFFLINE], ids=" ".join)
def test_missing_settings_end_with_2_before_anything_is_asked(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "document.json"
    file.write_text("{}")
    for name in ("CosmosDb", "CosmosDb__accountEndpoint"):
        monkeypatch.delenv(name, raising=False)
    arguments = [text.format(file=file) for text in ARGUMENTS.get(" ".join(path), [])]
    ended = CliRunner().invoke(cli, [*path, *arguments])
    assert ended.exit_code == 2
    assert "The setting CosmosDb" in (ended.stdout if path == ("doctor",) else ended.stderr)


ARGUMENTS = {
    "archive show": ["archived/2025/08/05/ann/i1.json"],
    "archive restore": ["--user", "ann"],
    "poison show": ["poison_1"],
    "poison replay": ["poison_1"],
    "poison resolve": ["poison_1"],
    "poison discard": ["poison_1"],
    "views publish": ["daily_metrics", "2025-08-05"],
    "views show": ["daily_metrics", "daily_metrics_20250805"],
    "documents get": ["user_interactions", "i1", "ann"],
    "documents put": ["user_interactions", "{file}"],
    "prices put": ["gemini", "--in", "1", "--out", "1", "--from", "2025-08-05"],
    "prices remove": ["gemini", "--from", "2025-08-05"],
    "prices alias": ["our-proxy/fast", "gemini"],
    "generations remove": ["1"],
    "people export": ["ann", "--to", "blob"],
    "people erase": ["ann", "--reason", "person"],
    "people status": ["cafe"],
    "schema migrate": ["user_interactions", "--to", "1.1"],
}
"""What a command needs to be understood."""
