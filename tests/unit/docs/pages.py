"""Read the steps of a how-to page, and apply them to a copy of the project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class PageError(AssertionError):
    """A step of the page cannot be followed."""


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Yield the language and the text of each block, in order."""
    for match in BLOCK.finditer(page):
        yield match[1], match[2]


def changed_file(block: str) -> str:
    """Return the path of the file that a block ``diff`` changes."""
    return block.partition("\n")[0].removeprefix("--- ")


def apply_change(block: str, root: Path) -> None:
    """Apply a block ``diff``: ``--- path``, then changes divided by ``@@``, each with its context.

    Raises
    ------
    PageError
        A change does not fit in exactly one place.
    """
    head, _, changes = block.partition("\n")
    path = root / changed_file(block)
    text = path.read_text(encoding="utf-8")
    for change in changes.split("@@\n"):
        lines = change.splitlines(keepends=True)
        if not all(line[0] in " +-" for line in lines):
            raise PageError(f"{head}: a line begins with neither blank, + nor -")
        before = "".join(line[1:] for line in lines if line[0] != "+")
        if text.count(before) != 1:
            raise PageError(f"{head}: occurs {text.count(before)} times, and not once:\n{before}")
        text = text.replace(before, "".join(line[1:] for line in lines if line[0] != "-"))
    path.write_text(text, encoding="utf-8")
