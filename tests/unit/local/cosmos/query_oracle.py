"""A naive evaluation of queries, written apart from the server, and strategies that make queries with it.

An expression is its text and a function from a document to its value; nothing here knows how the server
works. Types are told by name, and every operator says for itself what it makes of undefined.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cmp_to_key, partial
from typing import Any

from hypothesis import strategies as st

UNDEFINED = object()
KINDS = ["undefined", "null", "boolean", "number", "string", "array", "object"]

Document = dict[str, Any]


@dataclass(frozen=True)
class Expression:
    """A scalar expression."""

    text: str
    of: Callable[[Document], Any]


def kind(value: Any) -> str:
    """Return the name of the value's type."""
    if value is UNDEFINED:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {str: "string", list: "array", dict: "object"}[type(value)]


def canonical(value: Any) -> str:
    """Return a text that two values share if they are equal in JSON."""
    if kind(value) == "number":
        return repr(float(value) + 0.0)  # -0 is 0
    if kind(value) == "array":
        return f"[{','.join(map(canonical, value))}]"
    if kind(value) == "object":
        return f"{{{','.join(f'{json.dumps(key)}:{canonical(value[key])}' for key in sorted(value))}}}"
    return json.dumps(value)


def compare(left: Any, right: Any) -> int:
    """Order two values of any type; arrays and objects are all equal, for their order is the server's own."""
    if kind(left) != kind(right):
        return KINDS.index(kind(left)) - KINDS.index(kind(right))
    if kind(left) in ("boolean", "number", "string"):
        return (left > right) - (left < right)
    return 0


def _equals(left: Any, right: Any) -> Any:
    if "undefined" in (kind(left), kind(right)):
        return UNDEFINED
    return canonical(left) == canonical(right)


def _negated(value: Any) -> Any:
    return {True: False, False: True}[value] if kind(value) == "boolean" else UNDEFINED


def _less(left: Any, right: Any, *, or_equal: bool) -> Any:
    if kind(left) != kind(right) or kind(left) not in ("null", "boolean", "number", "string"):
        return UNDEFINED
    order = compare(left, right)
    return order < 0 or (or_equal and order == 0)


COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": _equals,
    "!=": lambda left, right: _negated(_equals(left, right)),
    "<": lambda left, right: _less(left, right, or_equal=False),
    "<=": lambda left, right: _less(left, right, or_equal=True),
    ">": lambda left, right: _less(right, left, or_equal=False),
    ">=": lambda left, right: _less(right, left, or_equal=True),
}


def _number(value: float) -> Any:
    return value if math.isfinite(value) else UNDEFINED


def _calculated(operator: str, left: Any, right: Any) -> Any:
    if (kind(left), kind(right)) != ("number", "number"):
        return UNDEFINED
    left, right = float(left), float(right)
    if operator in "/%" and right == 0:
        return UNDEFINED
    match operator:
        case "+":
            return _number(left + right)
        case "-":
            return _number(left - right)
        case "*":
            return _number(left * right)
        case "/":
            return _number(left / right)
        case _:
            return _number(math.fmod(left, right))


def _conjunction(left: Any, right: Any) -> Any:
    if left is False or right is False:
        return False
    return True if left is True and right is True else UNDEFINED


def _disjunction(left: Any, right: Any) -> Any:
    if left is True or right is True:
        return True
    return False if left is False and right is False else UNDEFINED


def _matches(text: Any, pattern: str) -> Any:
    if kind(text) != "string":
        return UNDEFINED
    wanted = "".join({"%": ".*", "_": "."}.get(sign, re.escape(sign)) for sign in pattern)
    return re.fullmatch(wanted, text, re.DOTALL) is not None


def _at(value: Any, *steps: str | int) -> Any:
    for step in steps:
        named = isinstance(step, str) and kind(value) == "object" and step in value
        numbered = isinstance(step, int) and kind(value) == "array" and step < len(value)
        if not (named or numbered):
            return UNDEFINED
        value = value[step]
    return value


def path(text: str, *steps: str | int) -> Expression:
    """Return the expression of a path."""
    return Expression(text, lambda document: _at(document, *steps))


PATHS = [
    path("c.a", "a"),
    path("c.b", "b"),
    path('c["b"]', "b"),
    path("c.list", "list"),
    path("c.list[0]", "list", 0),
    path("c.o.p", "o", "p"),
    path('c.o["q r"]', "o", "q r"),
    path("c.missing", "missing"),
]

SORTABLE = [expression for expression in PATHS if expression.text not in ("c.b", 'c["b"]', "c.list")]
"""Paths of scalars: the order among arrays and among objects is the server's own."""

STRINGS = ["", "a", "A", "ab", "b%", "it's", 'say "so"', "back\\slash", "naïve", "नमस्ते", "😀", "line\nbreak"]
NUMBERS = [0, 1, -1, 2, 2.5, -0.5, 1e-7, 1e300, -1e300, 2**53, 2**53 - 1]
SCALARS = st.sampled_from([None, True, False, *NUMBERS, *STRINGS])
EVERY_KIND = [
    UNDEFINED,
    None,
    True,
    False,
    *NUMBERS,
    *STRINGS,
    [],
    [1],
    [None, "a"],
    {},
    {"p": 1},
    {"p": "a"},
]
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.sampled_from("pq"), SCALARS, max_size=2)
DOCUMENTS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "a": SCALARS,
            "b": VALUES,
            "list": st.lists(SCALARS, max_size=3) | SCALARS,
            "o": st.fixed_dictionaries({}, optional={"p": SCALARS, "q r": SCALARS}),
        },
    ),
    max_size=8,
).map(lambda documents: [{"id": str(n), "pk": str(n), **d} for n, d in enumerate(documents)])


def literal(value: Any) -> Expression:
    """Return the expression of a constant."""
    return Expression(json.dumps(value), lambda document: value)


def _unary(name: str, operand: Expression, compute: Callable[[Any], Any]) -> Expression:
    return Expression(f"{name}({operand.text})", lambda document: compute(operand.of(document)))


def _binary(
    operator: str, left: Expression, right: Expression, compute: Callable[[Any, Any], Any]
) -> Expression:
    return Expression(
        f"({left.text} {operator} {right.text})",
        lambda document: compute(left.of(document), right.of(document)),
    )


def _between(operands: tuple[Expression, Expression, Expression]) -> Expression:
    value, low, high = operands
    return Expression(
        f"({value.text} BETWEEN {low.text} AND {high.text})",
        lambda document: _conjunction(
            _less(low.of(document), value.of(document), or_equal=True),
            _less(value.of(document), high.of(document), or_equal=True),
        ),
    )


def _among(operands: tuple[Expression, list[Any]]) -> Expression:
    value, choices = operands

    def of(document: Document) -> Any:
        found = value.of(document)
        return UNDEFINED if found is UNDEFINED else any(_equals(found, c) is True for c in choices)

    return Expression(f"({value.text} IN ({', '.join(map(json.dumps, choices))}))", of)


def _contains(operands: tuple[Expression, Any]) -> Expression:
    array, wanted = operands

    def of(document: Document) -> Any:
        found = array.of(document)
        return any(_equals(i, wanted) for i in found) if kind(found) == "array" else UNDEFINED

    return Expression(f"ARRAY_CONTAINS({array.text}, {json.dumps(wanted)})", of)


def _chosen(operands: tuple[Expression, Expression, Expression]) -> Expression:
    condition, then, otherwise = operands
    return Expression(
        f"({condition.text} ? {then.text} : {otherwise.text})",
        lambda document: (then if condition.of(document) is True else otherwise).of(document),
    )


def _text_function(name: str, compute: Callable[[str], Any]) -> Callable[[Expression], Expression]:
    return lambda operand: _unary(
        name, operand, lambda value: compute(value) if kind(value) == "string" else UNDEFINED
    )


def _defined(names: tuple[str, Expression]) -> Expression:
    name, operand = names
    tests = {
        "IS_DEFINED": lambda value: kind(value) != "undefined",
        "IS_NULL": lambda value: kind(value) == "null",
        "IS_NUMBER": lambda value: kind(value) == "number",
        "IS_STRING": lambda value: kind(value) == "string",
        "IS_BOOL": lambda value: kind(value) == "boolean",
        "IS_ARRAY": lambda value: kind(value) == "array",
        "IS_OBJECT": lambda value: kind(value) == "object",
    }
    return _unary(name, operand, tests[name])


def _or_else(left: Any, right: Any) -> Any:
    return right if left is UNDEFINED else left


def _joined(left: Any, right: Any) -> Any:
    return left + right if (kind(left), kind(right)) == ("string", "string") else UNDEFINED


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    **COMPARISONS,
    **{sign: partial(_calculated, sign) for sign in "+-*/%"},
    "AND": _conjunction,
    "OR": _disjunction,
    "??": _or_else,
    "||": _joined,
}
"""What every binary operator makes of two values."""


def _combined(operands: tuple[str, Expression, Expression]) -> Expression:
    operator, left, right = operands
    return _binary(operator, left, right, BINARY[operator])


def _extended(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    return st.one_of(
        st.tuples(st.sampled_from(list(BINARY)), inner, inner).map(_combined),
        inner.map(lambda o: Expression(f"(NOT ({o.text}))", lambda document: _negated(o.of(document)))),
        st.tuples(inner, inner, inner).map(_between),
        st.tuples(inner, inner, inner).map(_chosen),
        st.tuples(inner, st.lists(SCALARS, min_size=1, max_size=3)).map(_among),
        st.tuples(inner, SCALARS).map(_contains),
        st.tuples(st.sampled_from(["IS_DEFINED", "IS_NULL", "IS_NUMBER", "IS_STRING"]), inner).map(_defined),
        st.tuples(st.sampled_from(["IS_BOOL", "IS_ARRAY", "IS_OBJECT"]), inner).map(_defined),
        inner.map(_text_function("LENGTH", len)),
        inner.map(_text_function("UPPER", str.upper)),
        inner.map(_text_function("REVERSE", lambda text: text[::-1])),
        st.tuples(inner, st.sampled_from(["%a%", "_", "b%", "", "%"])).map(
            lambda p: _binary("LIKE", p[0], literal(p[1]), lambda text, pattern: _matches(text, pattern))
        ),
    )


EXPRESSIONS = st.recursive(st.sampled_from(PATHS) | SCALARS.map(literal), _extended, max_leaves=6)


def kept(documents: Iterable[Document], condition: Expression) -> list[Document]:
    """Return the documents that a filter lets through."""
    return [document for document in documents if condition.of(document) is True]


def ordered(documents: Iterable[Document], keys: list[tuple[Expression, bool]]) -> list[Document]:
    """Return the documents sorted by some expressions, each descending or not."""

    def before(left: Document, right: Document) -> int:
        for expression, descending in keys:
            order = compare(expression.of(left), expression.of(right))
            if order:
                return -order if descending else order
        return 0

    return sorted(documents, key=cmp_to_key(before))
