"""``make az-check``: every documented ``az`` command exists, with every option. Nothing is executed."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from terminal.output import Exit, fail, note, progress, say
from tests.azure_cli.documented import Documented, commands_of_page, commands_of_script

ROOT = Path(__file__).parents[2]
LEFT_OUT = re.compile(r"/(\.venv|node_modules|\.git/|\.local)")

Places = dict[Documented, set[str]]


def main(az: Annotated[Path, typer.Argument(help="The az command of an environment of its own.")]) -> None:
    """Compare every documented az command with the help of the installed one."""
    found = documented()
    if not found:
        fail("No page has an az command.", Exit.REFUSED)
    wrong = []
    with progress("commands") as advance:
        for number, (command, places) in enumerate(found.items(), 1):
            problem = _problem(az, command)
            if problem:
                wrong.append(f"{', '.join(sorted(places))}: {command}: {problem}")
            advance(number, len(found), str(command))
    for line in wrong:
        note(line)
    if wrong:
        fail(f"{len(wrong)} of {len(found)} commands are not as az has them.", Exit.REFUSED)
    say(f"All {len(found)} commands exist, with all their options.")


def documented() -> Places:
    """Return the commands of all pages, workflows and scripts, with the files that have them."""
    found: defaultdict[Documented, set[str]] = defaultdict(set)
    for file in _files():
        read = commands_of_page if file.suffix == ".md" else commands_of_script
        for command in read(file.read_text(encoding="utf-8")):
            found[command].add(file.relative_to(ROOT).as_posix())
    return dict(found)


def _files() -> Iterator[Path]:
    for pattern in ("*.md", "docs/**/*.md", ".github/**/*.yml", "infra/**/*.sh"):
        yield from (file for file in ROOT.glob(pattern) if not LEFT_OUT.search(str(file)))


def _problem(az: Path, command: Documented) -> str:
    """Return what is wrong with a command, an empty text if nothing is."""
    asked = subprocess.run([str(az), *command.words, "--help"], capture_output=True, text=True)
    if asked.returncode != 0 or "\nCommand\n" not in f"\n{asked.stdout}":
        return "there is no such command"
    known = set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", asked.stdout))
    unknown = sorted(command.options - known)
    return f"there is no {', '.join(unknown)}" if unknown else ""


if __name__ == "__main__":
    typer.run(main)
