"""From the parser's tree to ``syntax``: builds the nodes of a query, and checks what the grammar cannot."""

from __future__ import annotations

import re
from typing import Any, cast

from lark import Token, Transformer, v_args
from lark.tree import Meta

from local.cosmos.query import syntax as s
from local.cosmos.query.errors import QueryError, UnsupportedError, near_error
from local.cosmos.query.values import UNDEFINED, is_number, number

LONGEST_NUMBER = 400
"""Characters of a number; the largest double has 309 digits."""

RESERVED = frozenset(
    {
        *(
            "AND",
            "ARRAY",
            "AS",
            "ASC",
            "BETWEEN",
            "BY",
            "DESC",
            "DISTINCT",
            "ESCAPE",
            "EXISTS",
            "FALSE",
            "FROM",
        ),
        *("GROUP", "IN", "JOIN", "LIKE", "LIMIT", "NOT", "NULL", "OFFSET", "OR", "ORDER", "SELECT", "TOP"),
        *("TRUE", "UDF", "UNDEFINED", "VALUE", "WHERE"),
    }
)
"""Words that the service takes neither as an alias nor after a dot: ``c["value"]`` is the way."""

_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _unquoted(token: str) -> str:
    def escaped(match: re.Match[str]) -> str:
        code = match.group(1)
        return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)

    value = _ESCAPE.sub(escaped, token[1:-1])
    # two \u escapes may be the halves of one character
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _name(token: Token) -> str:
    if token.upper() in RESERVED:
        raise near_error(str(token), token.start_pos or 0, f' Write ["{token}"] for a property of this name.')
    return str(token)


def _negated(words: list[Any], node: s.Node) -> s.Node:
    return (
        s.Unary("NOT", node)
        if any(isinstance(word, Token) and word.type == "NOT" for word in words)
        else node
    )


def _without_not(node: s.Node) -> s.Node:
    # The service binds NOT tighter than a comparison, most readers looser: nobody is served by a guess.
    if isinstance(node, s.Unary) and node.operator == "NOT":
        raise UnsupportedError("NOT in front of an operand without parentheses, as in NOT a = b,")
    return node


_EQUALITY = frozenset({"=", "!="})
_RELATIONS = frozenset({"<", "<=", ">", ">="})
_AMBIGUOUS = frozenset({"&", "|", "^", "||"})


def _check_compared(operand: s.Node, operator: str) -> None:
    """Refuse what binds looser than a comparison in the service and, as in C, tighter to most readers."""
    if not isinstance(operand, s.Binary):
        return
    if operand.operator in _AMBIGUOUS or (operator in _RELATIONS and operand.operator in _EQUALITY):
        raise UnsupportedError(f"'{operand.operator}' beside '{operator}' without parentheses")


@v_args(inline=True)
class Builder(Transformer[Token, Any]):
    """Builds nodes bottom-up; a method is named after the rule of the grammar that it builds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    # queries

    def start(self, select: s.Select, *_: Token) -> s.Select:
        return select

    def select(self, _: Token, *parts: Any) -> s.Select:
        found: dict[str, Any] = dict(part for part in parts if isinstance(part, tuple))
        if "top" in found and "limit" in found:
            raise QueryError("TOP cannot be used together with OFFSET and LIMIT; use one of them.")
        offset, limit = found.get("limit", (None, None))
        return s.Select(
            distinct=found.get("distinct", False),
            top=found.get("top"),
            value=found.get("value"),
            items=_named(found.get("items", ())),
            sources=found.get("sources", ()),
            where=found.get("where"),
            group=found.get("group", ()),
            order=found.get("order", ()),
            offset=offset,
            limit=limit,
        )

    def distinct(self, _: Token) -> Any:
        return "distinct", True

    def top(self, _: Token, count: s.Node) -> Any:
        return "top", _count(count, "TOP")

    def star(self) -> Any:
        return "star", True

    @v_args(meta=True, inline=False)
    def value(self, meta: Meta, parts: list[Any]) -> Any:
        text = self._text[meta.start_pos : meta.end_pos]
        return "value", s.Written(parts[1], text[len(parts[0]) :].strip())

    def items(self, *items: Any) -> Any:
        return "items", items

    def item(self, expression: s.Written, *alias: Any) -> Any:
        return expression, alias[-1] if alias else None

    @v_args(meta=True, inline=False)
    def spanned(self, meta: Meta, parts: list[Any]) -> s.Written:
        return s.Written(parts[0], self._text[meta.start_pos : meta.end_pos])

    @v_args(meta=True, inline=False)
    def where(self, _meta: Meta, parts: list[Any]) -> Any:
        return "where", parts[1]

    def group(self, *parts: Any) -> Any:
        return "group", tuple(part for part in parts if isinstance(part, s.Written))

    def order(self, *parts: Any) -> Any:
        return "order", tuple(part for part in parts if isinstance(part, s.Sort))

    def sort(self, expression: s.Written, descending: bool = False) -> s.Sort:
        return s.Sort(expression, descending)

    def direction(self, word: Token) -> bool:
        return word.type == "DESC"

    def limit(self, _offset: Token, skipped: s.Node, _limit: Token, kept: s.Node) -> Any:
        return "limit", (_count(skipped, "OFFSET"), _count(kept, "LIMIT"))

    # sources

    @v_args(meta=True, inline=False)
    def from_(self, meta: Meta, parts: list[Any]) -> Any:
        return "sources", tuple(part for part in parts if isinstance(part, s.Source))

    def join(self, _: Token, source: s.Source) -> s.Source:
        return source

    @v_args(meta=True, inline=False)
    def whole(self, meta: Meta, parts: list[Any]) -> s.Source:
        return self._source(meta, parts[0], parts[-1] if len(parts) > 1 else None, iterated=False)

    @v_args(meta=True, inline=False)
    def iterated(self, meta: Meta, parts: list[Any]) -> s.Source:
        return self._source(meta, parts[-1], parts[0], iterated=True)

    def _source(self, meta: Meta, container: Any, alias: str | None, *, iterated: bool) -> s.Source:
        text = self._text[meta.start_pos : meta.end_pos]
        if isinstance(container, s.Select):
            return s.Source(alias or "", "", (), iterated, container, text)
        root, steps = container
        last = steps[-1] if steps else None
        implied = last.value if isinstance(last, s.Literal) and isinstance(last.value, str) else ""
        return s.Source(alias or (implied if steps else root), root, steps, iterated, None, text)

    def path(self, root: str, *suffixes: Any) -> Any:
        return root, tuple(_key(suffix) for suffix in suffixes)

    def subquery(self, select: s.Select) -> s.Select:
        return select

    # expressions

    def conditional(self, condition: s.Node, then: s.Node, otherwise: s.Node) -> s.Node:
        return s.Conditional(condition, then, otherwise)

    def coalesce(self, *operands: s.Node) -> s.Node:
        return s.Coalesce(operands)

    def either(self, *parts: Any) -> s.Node:
        return s.Any_(tuple(part for part in parts if isinstance(part, s.Node)))

    def both(self, *parts: Any) -> s.Node:
        return s.All(tuple(part for part in parts if isinstance(part, s.Node)))

    def compare(self, left: s.Node, operator: Token, right: s.Node) -> s.Node:
        name = "!=" if operator == "<>" else str(operator)
        _check_compared(left, name)
        _check_compared(right, name)
        return s.Binary(name, _without_not(left), right)

    def among(self, operand: s.Node, *parts: Any) -> s.Node:
        choices = tuple(part for part in parts if isinstance(part, s.Node))
        return _negated(list(parts), s.Among(_without_not(operand), choices))

    def between(self, operand: s.Node, *parts: Any) -> s.Node:
        low, high = (part for part in parts if isinstance(part, s.Node))
        return _negated(list(parts), s.Between(_without_not(operand), low, high))

    def like(self, operand: s.Node, *parts: Any) -> s.Node:
        pattern = next(part for part in parts if isinstance(part, s.Node))
        escape = _unquoted(parts[-1]) if isinstance(parts[-1], Token) and parts[-1].type == "STRING" else ""
        if isinstance(parts[-1], Token) and parts[-1].type == "STRING" and len(escape) != 1:
            raise QueryError(f"ESCAPE takes a single character, but got {escape!r}.")
        return _negated(list(parts), s.Like(_without_not(operand), pattern, escape))

    def chain(self, first: s.Node, *rest: Any) -> s.Node:
        node = _without_not(first)
        for operator, operand in zip(rest[::2], rest[1::2], strict=True):
            node = s.Binary(str(operator), node, operand)
        return node

    def unary(self, operator: Token, operand: s.Node) -> s.Node:
        name = operator.upper()
        if name == "-" and isinstance(operand, s.Literal) and is_number(operand.value):
            return s.Literal(-operand.value)
        return s.Unary(name, operand)

    def parenthesis(self, operand: s.Node) -> s.Node:
        return s.Parenthesis(operand)

    def steps(self, base: s.Node, *suffixes: Any) -> s.Node:
        for suffix in suffixes:
            base = s.Step(base, _key(suffix, base))
        return base

    def property(self, name: Token) -> s.Node:
        return s.Literal(_name(name))

    def index(self, key: s.Node) -> s.Node:
        return key

    def applied(self, arguments: tuple[s.Node, ...]) -> tuple[s.Node, ...]:
        return arguments

    @v_args(meta=True, inline=False)
    def call(self, meta: Meta, parts: list[Any]) -> s.Node:
        name, arguments = parts
        text = self._text[meta.start_pos : meta.end_pos]
        return s.Call(name.upper(), arguments, text[text.index("(") + 1 : -1].strip())

    def arguments(self, *arguments: s.Node) -> tuple[s.Node, ...]:
        return arguments

    def identifier(self, name: str) -> s.Node:
        return s.Identifier(name)

    def name(self, token: Token) -> str:
        return token if token.upper() == "UDF" else _name(token)

    def parameter(self, token: Token) -> s.Node:
        return s.Parameter(str(token))

    def number(self, token: Token) -> s.Node:
        text = str(token)
        if len(text) > LONGEST_NUMBER:
            raise QueryError(f"A number has {len(text)} characters; at most {LONGEST_NUMBER} are allowed.")
        whole = int(text, 16) if text[:2] in ("0x", "0X") else int(text) if text.isdigit() else None
        # Integers of 64 bits stay exact, as they do in the documents they are compared with.
        value = number(float(text)) if whole is None else whole if whole < 2**63 else number(whole)
        if value is UNDEFINED:
            raise QueryError(f"The number {text[:40]} is out of range.")
        return s.Literal(value)

    def string(self, token: Token) -> s.Node:
        return s.Literal(_unquoted(token))

    def true(self, _: Token) -> s.Node:
        return s.Literal(True)

    def false(self, _: Token) -> s.Node:
        return s.Literal(False)

    def null(self, _: Token) -> s.Node:
        return s.Literal(None)

    def undefined(self, _: Token) -> s.Node:
        return s.Literal(UNDEFINED)

    def array(self, *items: s.Node) -> s.Node:
        return s.ArrayOf(items)

    def object(self, *pairs: Any) -> s.Node:
        return s.ObjectOf(tuple(name for name, _ in pairs), tuple(item for _, item in pairs))

    def pair(self, name: Token, item: s.Node) -> Any:
        return _unquoted(name) if name.type == "STRING" else str(name), item

    def exists(self, _: Token, select: s.Select) -> s.Node:
        return s.Subquery("exists", select)

    def array_of(self, _: Token, select: s.Select) -> s.Node:
        return s.Subquery("array", select)

    def scalar(self, select: s.Select) -> s.Node:
        return s.Subquery("scalar", select)


# "from" is a word of Python, so the rule's method has to be set by name.
setattr(Builder, "from", Builder.from_)


def _count(node: s.Node, clause: str) -> s.Count:
    if isinstance(node, s.Parameter):
        return node
    value = node.value if isinstance(node, s.Literal) else None
    if type(value) is not int:
        raise QueryError(f"{clause} takes a whole number that is not negative, but got {value!r}.")
    return value


def _key(suffix: Any, base: s.Node | None = None) -> s.Node:
    if isinstance(suffix, tuple):
        if (
            isinstance(base, s.Step)
            and isinstance(base.base, s.Identifier)
            and base.base.name.upper() == "UDF"
        ):
            raise UnsupportedError(f"The user-defined function {getattr(base.key, 'value', '')!r}")
        raise QueryError("Syntax error, only a function of a plain name can be called.")
    return cast(s.Node, suffix)


def _named(items: tuple[tuple[s.Written, str | None], ...]) -> tuple[s.Item, ...]:
    """Give every entry its name: the alias, the last property of a path, or ``$1``, ``$2`` and so on."""
    named: list[s.Item] = []
    unnamed = 0
    taken: set[str] = set()
    for expression, alias in items:
        name = alias or _implied(expression.node)
        if name is None:
            unnamed += 1
            name = f"${unnamed}"
        if name in taken:
            raise QueryError(f"The property {name!r} is selected twice; give one of them another alias.")
        taken.add(name)
        named.append(s.Item(expression, name))
    return tuple(named)


def _implied(node: s.Node) -> str | None:
    node = s.bare(node)
    if isinstance(node, s.Identifier):
        return node.name
    if isinstance(node, s.Step) and isinstance(node.key, s.Literal) and isinstance(node.key.value, str):
        return node.key.value
    return None
