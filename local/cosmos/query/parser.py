"""From text to ``syntax``: checks the bounds of a query, parses it, and says where it is wrong."""

from __future__ import annotations

import re
from typing import cast

from lark import Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken, VisitError

from local.cosmos.query import syntax as s
from local.cosmos.query.building import Builder
from local.cosmos.query.errors import SYNTAX_ERROR, QueryError, UnsupportedError, near_error
from local.cosmos.query.grammar import parser

LONGEST_QUERY = 512 * 1024
"""Bytes of UTF-8, as in the service."""

DEEPEST_NESTING = 120
"""Levels of the tree. What walks it recurses a few frames for each, and Python has a thousand."""


_REFUSED = re.compile(
    r"\b(?P<construct>ORDER\s+BY\s+RANK|(?:ALL|FIRST|LAST)\s*\(\s*SELECT)\s+$", re.IGNORECASE
)
"""Constructs of the service that the grammar does not have, where it gives up behind them."""


def parse(text: str) -> s.Select:
    """Return the query.

    Raises
    ------
    QueryError
        It is too long, too deeply nested, or not in the language; the error says where.
    UnsupportedError
        It uses what the local server does not have.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > LONGEST_QUERY:
        raise QueryError(f"The query has {size} bytes; at most {LONGEST_QUERY} are allowed.")
    try:
        tree = parser().parse(text)
    except UnexpectedInput as error:
        raise _syntax_error(text, error) from None
    _check_nesting(tree)
    try:
        return cast(s.Select, Builder(text).transform(tree))
    except VisitError as error:
        if isinstance(error.orig_exc, QueryError):
            raise error.orig_exc from None
        raise


def _syntax_error(text: str, error: UnexpectedInput) -> QueryError:
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        end = (len(text), len(text))
        return QueryError("Syntax error, unexpected end of the query.", end, SYNTAX_ERROR)
    start = error.pos_in_stream if error.pos_in_stream is not None else len(text)
    if isinstance(error, UnexpectedCharacters) and text[start] in "'\"":
        return QueryError(
            f"Syntax error, the string that starts at character {start} has no end.",
            (start, len(text)),
            SYNTAX_ERROR,
        )
    refused = _REFUSED.search(text[:start])
    if refused is not None:
        return UnsupportedError(" ".join(refused["construct"].upper().split()), refused.span("construct"))
    word = re.compile(r"\w+|.", re.DOTALL).match(text, start)
    near = word.group() if word else ""
    return near_error(near, start)


def _check_nesting(tree: Tree[Token]) -> None:
    level = [tree]
    depth = 0
    while level:
        depth += 1
        if depth > DEEPEST_NESTING:
            raise QueryError(f"The query is nested more than {DEEPEST_NESTING} levels deep; make it flatter.")
        level = [child for node in level for child in node.children if isinstance(child, Tree)]
