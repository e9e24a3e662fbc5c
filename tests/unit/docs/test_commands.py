"""The commands that the pages name exist, with the options and arguments that the pages give them."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import typer

from local.__main__ import app
from ops.__main__ import cli

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FLEET, LOCAL = typer.main.get_command(cli), typer.main.get_command(app)
MENTION = re.compile(r"(?:\.venv/bin/fleet|`fleet|-m local) +([a-z][^`\n|>)\"]*)")
"""A command in a page, up to the end of its code, a pipe or a redirection."""

MENTIONS = sorted(
    {
        (page.relative_to(ROOT).as_posix(), "local" if "local" in found[0].split()[1] else "fleet", found[1])
        for page in PAGES
        for found in MENTION.finditer(page.read_text(encoding="utf-8"))
    }
)


def commands_of(command: click.Command) -> dict[str, click.Command]:
    return getattr(command, "commands", {})


def named(program: str, words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that words name, and the words after its name."""
    command = LOCAL if program == "local" else FLEET
    while words and commands_of(command):
        assert words[0] in commands_of(command), words
        command, words = commands_of(command)[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize(("page", "program", "mention"), MENTIONS)
def test_a_command_of_a_page_exists_with_its_options(page: str, program: str, mention: str) -> None:
    command, rest = named(program, mention.split("#")[0].strip(" .,;:…").split())
    options = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    given = {word.partition("=")[0].rstrip(".,;:…") for word in rest if word.startswith("--")}
    assert given <= options | {"--help"}


def test_the_page_about_poison_names_every_command_and_option() -> None:
    text = (ROOT / "docs/how-to/operate-poison.md").read_text(encoding="utf-8")
    poison, _ = named("fleet", ["poison"])
    assert commands_of(poison)
    for name, command in commands_of(poison).items():
        assert re.search(rf"`{name}`|poison {name}\b", text), name
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.opts[0] in text, (name, parameter.opts)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_that_is_to_be_typed_is_found_from_the_folder_of_the_project(page: Path) -> None:
    blocks = re.findall(
        r"^ *```(?:sh)?\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    assert [line for line in lines if re.match(r"(\$ )?([A-Z_]+=\S+ )*(fleet|python|pytest) ", line)] == []


def test_commands_are_found_in_the_pages() -> None:
    assert {page for page, _, _ in MENTIONS} >= {"README.md", "docs/how-to/operate-poison.md"}
    assert len(MENTIONS) > 30
