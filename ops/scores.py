"""The reference of all scores, as a Markdown page from the functions' docstrings."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import CodeType, FunctionType
from typing import Any

from shared.scores import SCORES
from shared.scores.not_scored import NOT_SCORED

HEAD = """# Scores

Written by `.venv/bin/fleet docs scores`; a test compares it with the code. A score is a formula and not a
measurement: its parameters were not fitted to data, and each has its reason here. Where an input that a score
needs is not known there is no score, `null` in the view. Scores are rounded to four digits,
and so are those that another score is made from.
"""

NOT_SCORED_HEAD = """## Not scored

Fields of the specification that look like scores, and for which nothing is recorded: they are `null`.

| field | why |
|---|---|
"""


_CONSTANT = re.compile(r"\b[A-Z][A-Z_]{3,}\b")
"""A constant's name in a docstring. The name of a parameter's default is nowhere else in the function."""


def scores_page() -> str:
    """Return the page."""
    missing = "".join(f"| `{field}` | {reason} |\n" for field, reason in NOT_SCORED.items())
    return "\n".join([HEAD, *(_section(score) for score in SCORES), NOT_SCORED_HEAD + missing])


def parameters(function: Callable[..., Any]) -> dict[str, tuple[Any, str]]:
    """Return value and reason of each named constant that a function uses directly or through a helper."""
    used = set(_constants(function, set()))
    return {
        name: (getattr(sys.modules[module], name), _flat(reason))
        for module in sorted({module for module, _ in used})
        for name, reason in _reasons(inspect.getsource(sys.modules[module])).items()
        if (module, name) in used
    }


def _constants(function: Callable[..., Any], seen: set[Any]) -> Iterator[tuple[str, str]]:
    if function in seen or not isinstance(function, FunctionType):
        return
    seen.add(function)
    for name in {*_names(function.__code__), *_CONSTANT.findall(function.__doc__ or "")}:
        used = function.__globals__.get(name)
        if isinstance(used, FunctionType) and used.__module__.startswith("shared.scores."):
            yield from _constants(used, seen)
        elif name.isupper() and used is not None and function.__module__ != "shared.scores.shapes":
            yield function.__module__, name


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _reasons(source: str) -> dict[str, str]:
    """Return the text below each assignment of a module."""
    body = ast.parse(source).body
    return {
        before.targets[0].id: ast.literal_eval(text.value)
        for before, text in pairwise(body)
        if isinstance(before, ast.Assign)
        and isinstance(before.targets[0], ast.Name)
        and isinstance(text, ast.Expr)
    }


def _section(score: Callable[..., Any]) -> str:
    text = (inspect.getdoc(score) or "").replace("``", "`")
    meaning, _, rest = text.partition("\n\nParameters\n----------\n")
    inputs, _, returns = rest.partition("\n\nReturns\n-------\n")
    parts = [
        f"## {score.__name__}\n\n{_sentence(meaning)}\n",
        f"Result: {_flat(returns.partition(chr(10))[2])}\n",
        "| input | meaning |\n|---|---|",
        *(f"| `{name}` | {what} |" for name, what in _items(inputs)),
    ]
    constants = parameters(score)
    if constants:
        parts += [
            "\n| parameter | value | reason |\n|---|---|---|",
            *(f"| `{name}` | {_value(value)} | {reason} |" for name, (value, reason) in constants.items()),
        ]
    return "\n".join(parts) + "\n"


def _items(block: str) -> Iterator[tuple[str, str]]:
    name, what = "", list[str]()
    for line in block.splitlines():
        if line.startswith(" "):
            what.append(line)
            continue
        if name:
            yield name, _flat(" ".join(what))
        name, what = line, []
    if name:
        yield name, _flat(" ".join(what))


def _sentence(meaning: str) -> str:
    text = meaning.removeprefix("Return ")
    return text[:1].upper() + text[1:]


def _flat(text: str) -> str:
    return " ".join(text.split())


def _value(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{name} {weight}" for name, weight in value.items())
        case tuple():
            return ", ".join(f"{word} from {least:g}" for least, word in value)
        case _:
            return f"{value:,}"
