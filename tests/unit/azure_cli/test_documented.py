"""Which commands of a page or script are found, with which words and options."""

from __future__ import annotations

import pytest

from tests.azure_cli.__main__ import documented
from tests.azure_cli.documented import Documented, commands_of_page, commands_of_script


def command(words: str, *options: str) -> Documented:
    return Documented(tuple(words.split()), frozenset(options))


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("az login", [command("login")]),
        (
            "az group create --name NAME \\\n    -l eastus",
            [command("group create", "--name", "-l")],
        ),
        ("id=$(az account show --query id -o tsv)", [command("account show", "--query", "-o")]),
        ("az a b --x=1 && az c d --y 2 | grep az", [command("a b", "--x"), command("c d", "--y")]),
        (
            '  run: az deployment sub what-if --parameters "a=$B"',
            [command("deployment sub what-if", "--parameters")],
        ),
        (
            "az role assignment create --scope /subscriptions/$ID -1",
            [command("role assignment create", "--scope")],
        ),
        ("# az login", []),
        ("make az-check; ./az x; lazy az", []),
    ],
)
def test_words_and_options_are_read(script: str, found: list[Documented]) -> None:
    assert commands_of_script(script) == found


def test_only_code_blocks_of_a_page_are_read() -> None:
    page = "Say az login in prose.\n\n```\naz login\n```\n\n- item\n\n  ```bash\n  az group list\n  ```\n"
    assert commands_of_page(page) == [command("login"), command("group list")]


def test_the_docs_have_commands() -> None:
    assert any("docs/how-to/deploy.md" in places for places in documented().values())
