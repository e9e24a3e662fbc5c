"""Finds the ``az`` commands of the docs and workflows. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^ *```.*?\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:^|[\s(;&|])az (?=[a-z])")
_WORD = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Documented:
    """One command: ``az`` with its words and options."""

    words: tuple[str, ...]
    options: frozenset[str]

    def __str__(self) -> str:
        return " ".join(("az", *self.words))


def commands_of_page(markdown: str) -> list[Documented]:
    """Return the commands in the code blocks of a page."""
    return [each for block in _FENCE.findall(markdown) for each in commands_of_script(block)]


def commands_of_script(script: str) -> list[Documented]:
    """Return the commands of a shell script, a workflow or a code block."""
    joined = re.sub(r"\\\n\s*", " ", script)
    return [
        command
        for line in joined.splitlines()
        if not line.lstrip().startswith("#")
        for start in _COMMAND.finditer(line)
        if (command := _parsed(line[start.end() :])) is not None
    ]


def _parsed(text: str) -> Documented | None:
    words: list[str] = []
    options: set[str] = set()
    for word in _split(text):
        if word.startswith("-") and not re.fullmatch(r"-\d.*", word):
            options.add(word.partition("=")[0])
        elif not options and _WORD.fullmatch(word):
            words.append(word)
        elif not options:
            break
    return Documented(tuple(words), frozenset(options)) if words else None


def _split(text: str) -> Iterator[str]:
    """Return the words of one command: up to what ends it in a shell."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    try:
        for word in lexer:
            if set(word) <= set("();<>|&"):
                return
            yield word
    except ValueError:  # a quotation that ends on another line
        return
