"""From ``syntax`` to Python closures, so that a filter over many items costs calls and no interpretation.

A compiled expression takes a *row* — the values of the sources in scope, by slot — and the parameters.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from local.cosmos.query import (
    functions_math,
    functions_text,
    functions_time,
)
from local.cosmos.query import syntax as s
from local.cosmos.query.aggregates import AGGREGATES
from local.cosmos.query.errors import QueryError, UnsupportedError
from local.cosmos.query.functions import FUNCTIONS
from local.cosmos.query.values import UNDEFINED, identity, is_number, number, rank, same

if TYPE_CHECKING:
    from local.cosmos.query.selection import Selection

# Importing them registers their functions.
_REGISTERED = (functions_math, functions_text, functions_time)

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]
Evaluate = Callable[[Row, Parameters], Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """The names an expression may use.

    ``names`` are the aliases by slot; an empty one stands for a slot that has no name. Where aggregates may
    be used, ``aggregates`` collects them, and their results are in the slot ``aggregate_slot``.
    """

    subquery: Callable[[s.Select, Scope], Selection]
    names: tuple[str, ...] = ()
    aggregates: dict[s.Call, int] | None = field(default=None, compare=False)
    aggregate_slot: int = -1

    def slot(self, name: str) -> int:
        """Return the slot of an alias; the innermost of several."""
        for slot in range(len(self.names) - 1, -1, -1):
            if self.names[slot] == name:
                return slot
        known = ", ".join(repr(name) for name in self.names if name) or "none"
        raise QueryError(f"Identifier '{name}' could not be resolved; the names in scope: {known}.")

    def having(self, *names: str) -> Scope:
        """Return the scope with further slots, and without aggregates."""
        return replace(self, names=self.names + names, aggregates=None)


def compile_node(node: s.Node, scope: Scope) -> Evaluate:
    """Return the closure of an expression.

    Raises
    ------
    QueryError
        A name is unknown, or a function got the wrong number of arguments.
    UnsupportedError
        A function is one the local server does not have.
    """
    return _COMPILERS[type(node)](node, scope)


def _literal(node: s.Literal, scope: Scope) -> Evaluate:
    value = node.value
    return lambda row, parameters: value


def _parameter(node: s.Parameter, scope: Scope) -> Evaluate:
    name = node.name

    def evaluate(row: Row, parameters: Parameters) -> Any:
        try:
            return parameters[name]
        except KeyError:
            raise QueryError(f"The query uses the parameter {name}, but no value was given for it.") from None

    return evaluate


def _identifier(node: s.Identifier, scope: Scope) -> Evaluate:
    slot = scope.slot(node.name)
    return lambda row, parameters: row[slot]


def _step(node: s.Step, scope: Scope) -> Evaluate:
    if isinstance(node.key, s.Literal) and type(node.key.value) is str:
        return _property(node, scope)
    base, key = compile_node(node.base, scope), compile_node(node.key, scope)
    return lambda row, parameters: _at(base(row, parameters), key(row, parameters))


def _property(node: s.Step, scope: Scope) -> Evaluate:
    name = node.key.value if isinstance(node.key, s.Literal) else ""
    if isinstance(node.base, s.Identifier):
        slot = scope.slot(node.base.name)

        def direct(row: Row, parameters: Parameters) -> Any:
            value = row[slot]
            return value.get(name, UNDEFINED) if type(value) is dict else UNDEFINED

        return direct
    base = compile_node(node.base, scope)

    def nested(row: Row, parameters: Parameters) -> Any:
        value = base(row, parameters)
        return value.get(name, UNDEFINED) if type(value) is dict else UNDEFINED

    return nested


def _at(value: Any, key: Any) -> Any:
    if type(value) is dict and type(key) is str:
        return value.get(key, UNDEFINED)
    if type(value) is list and is_number(key) and key == int(key) and 0 <= key < len(value):
        return value[int(key)]
    return UNDEFINED


def _array(node: s.ArrayOf, scope: Scope) -> Evaluate:
    items = [compile_node(item, scope) for item in node.items]

    def evaluate(row: Row, parameters: Parameters) -> Any:
        values = [item(row, parameters) for item in items]
        return [value for value in values if value is not UNDEFINED]

    return evaluate


def object_of(names: tuple[str, ...], items: list[Evaluate]) -> Evaluate:
    """Return the closure that makes an object, without the properties that are undefined."""
    pairs = list(zip(names, items, strict=True))

    def evaluate(row: Row, parameters: Parameters) -> Any:
        made = {}
        for name, item in pairs:
            value = item(row, parameters)
            if value is not UNDEFINED:
                made[name] = value
        return made

    return evaluate


def _object(node: s.ObjectOf, scope: Scope) -> Evaluate:
    return object_of(node.names, [compile_node(item, scope) for item in node.items])


def _unary(node: s.Unary, scope: Scope) -> Evaluate:
    operand, compute = compile_node(node.operand, scope), _UNARY[node.operator]
    return lambda row, parameters: compute(operand(row, parameters))


def _not(value: Any) -> Any:
    return not value if type(value) is bool else UNDEFINED


_UNARY: dict[str, Callable[[Any], Any]] = {
    "NOT": _not,
    "-": lambda value: number(-value) if is_number(value) else UNDEFINED,
    "+": lambda value: value if is_number(value) else UNDEFINED,
    "~": lambda value: ~_int32(value) if is_number(value) else UNDEFINED,
}


def _binary(node: s.Binary, scope: Scope) -> Evaluate:
    left, right = compile_node(node.left, scope), compile_node(node.right, scope)
    compute = _BINARY[node.operator]
    return lambda row, parameters: compute(left(row, parameters), right(row, parameters))


def _equal(left: Any, right: Any) -> Any:
    if type(left) is str and type(right) is str:
        return left == right
    if left is UNDEFINED or right is UNDEFINED:
        return UNDEFINED
    return same(left, right)


def _unequal(left: Any, right: Any) -> Any:
    return _not(_equal(left, right))


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    def evaluate(left: Any, right: Any) -> Any:
        place = rank(left)
        if place != rank(right) or not 1 <= place <= 4:
            return UNDEFINED
        return compare(left, right) if left is not None else compare(0, 0)

    return evaluate


def _arithmetic(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def evaluate(left: Any, right: Any) -> Any:
        if not (is_number(left) and is_number(right)):
            return UNDEFINED
        try:
            return number(compute(left, right))
        except (ZeroDivisionError, OverflowError, ValueError):
            # a division by zero, or a result beyond a double
            return UNDEFINED

    return evaluate


def _int32(value: float) -> int:
    bits = int(value) & 0xFFFFFFFF
    return bits - 2**32 if bits >= 2**31 else bits


def _bitwise(compute: Callable[[int, int], int]) -> Callable[[Any, Any], Any]:
    return _arithmetic(lambda left, right: compute(_int32(left), _int32(right)))


def _concatenated(left: Any, right: Any) -> Any:
    return left + right if type(left) is str and type(right) is str else UNDEFINED


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "=": _equal,
    "!=": _unequal,
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "+": _arithmetic(operator.add),
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _arithmetic(operator.truediv),
    "%": _arithmetic(math.fmod),
    "&": _bitwise(operator.and_),
    "|": _bitwise(operator.or_),
    "^": _bitwise(operator.xor),
    "||": _concatenated,
}


def _all(node: s.All, scope: Scope) -> Evaluate:
    operands = [compile_node(operand, scope) for operand in node.operands]

    def evaluate(row: Row, parameters: Parameters) -> Any:
        result: Any = True
        for operand in operands:
            value = operand(row, parameters)
            if value is False:
                return False
            if value is not True:
                result = UNDEFINED
        return result

    return evaluate


def _any(node: s.Any_, scope: Scope) -> Evaluate:
    # Many ORs that ask the same array for one constant each become one look into a set.
    sought: dict[s.Node, list[s.Node]] = {}
    operands: list[Evaluate] = []
    for operand in map(s.bare, node.operands):
        if isinstance(operand, s.Call) and operand.name == "ARRAY_CONTAINS" and len(operand.arguments) == 2:
            array, wanted = operand.arguments
            if _is_constant(wanted):
                sought.setdefault(array, []).append(wanted)
                continue
        operands.append(compile_node(operand, scope))
    operands += [_contains_any(array, wanted, scope) for array, wanted in sought.items()]

    def evaluate(row: Row, parameters: Parameters) -> Any:
        result: Any = False
        for operand in operands:
            value = operand(row, parameters)
            if value is True:
                return True
            if value is not False:
                result = UNDEFINED
        return result

    return evaluate


def _coalesce(node: s.Coalesce, scope: Scope) -> Evaluate:
    operands = [compile_node(operand, scope) for operand in node.operands]

    def evaluate(row: Row, parameters: Parameters) -> Any:
        for operand in operands:
            value = operand(row, parameters)
            if value is not UNDEFINED:
                return value
        return UNDEFINED

    return evaluate


def _conditional(node: s.Conditional, scope: Scope) -> Evaluate:
    condition = compile_node(node.condition, scope)
    then, otherwise = compile_node(node.then, scope), compile_node(node.otherwise, scope)

    def evaluate(row: Row, parameters: Parameters) -> Any:
        return (then if condition(row, parameters) is True else otherwise)(row, parameters)

    return evaluate


def _among(node: s.Among, scope: Scope) -> Evaluate:
    operand = compile_node(node.operand, scope)
    choices = [compile_node(choice, scope) for choice in node.choices]
    if all(map(_is_constant, node.choices)):
        return _among_constants(operand, choices)

    def evaluate(row: Row, parameters: Parameters) -> Any:
        value = operand(row, parameters)
        if value is UNDEFINED:
            return UNDEFINED
        return any(_equal(value, choice(row, parameters)) is True for choice in choices)

    return evaluate


def _is_constant(node: s.Node) -> bool:
    if isinstance(node, s.Literal):
        return node.value is not UNDEFINED
    return isinstance(node, s.Parameter)


def _set_of(constants: list[Evaluate]) -> Callable[[Parameters], frozenset[Any]]:
    """Return the set of the constants, made once per mapping of parameters: once per execution."""
    made: tuple[Parameters | None, frozenset[Any]] = (None, frozenset())

    def current(parameters: Parameters) -> frozenset[Any]:
        nonlocal made
        known, values = made
        if known is not parameters:
            values = frozenset(identity(constant((), parameters)) for constant in constants)
            made = (parameters, values)
        return values

    return current


def _among_constants(operand: Evaluate, choices: list[Evaluate]) -> Evaluate:
    allowed = _set_of(choices)

    def evaluate(row: Row, parameters: Parameters) -> Any:
        value = operand(row, parameters)
        return UNDEFINED if value is UNDEFINED else identity(value) in allowed(parameters)

    return evaluate


def _contains_any(array: s.Node, wanted: list[s.Node], scope: Scope) -> Evaluate:
    operand = compile_node(array, scope)
    sought = _set_of([compile_node(constant, scope) for constant in wanted])

    def evaluate(row: Row, parameters: Parameters) -> Any:
        items = operand(row, parameters)
        if type(items) is not list:
            return UNDEFINED
        return not sought(parameters).isdisjoint(map(identity, items))

    return evaluate


def _between(node: s.Between, scope: Scope) -> Evaluate:
    above = s.Binary(">=", node.operand, node.low)
    below = s.Binary("<=", node.operand, node.high)
    return _all(s.All((above, below)), scope)


@lru_cache(1024)
def _like_pattern(pattern: str, escape: str) -> re.Pattern[str]:
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if escape and character == escape and position < len(pattern):
            parts.append(re.escape(pattern[position]))
            position += 1
        elif character == "%":
            parts.append(".*")
        elif character == "_":
            parts.append(".")
        elif character == "[" and (end := pattern.find("]", position + 1)) > 0:
            body = pattern[position:end]
            negated = "^" if body.startswith("^") else ""
            body = body[len(negated) :].replace("\\", r"\\").replace("[", r"\[")
            parts.append(f"[{negated}{body}]")
            position = end + 1
        else:
            parts.append(re.escape(character))
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error as error:
        raise QueryError(f"The LIKE pattern {pattern!r} is not valid: {error}.") from None


def _like(node: s.Like, scope: Scope) -> Evaluate:
    operand, pattern = compile_node(node.operand, scope), compile_node(node.pattern, scope)
    escape = node.escape

    def evaluate(row: Row, parameters: Parameters) -> Any:
        text, wanted = operand(row, parameters), pattern(row, parameters)
        if type(text) is not str or type(wanted) is not str:
            return UNDEFINED
        return _like_pattern(wanted, escape).fullmatch(text) is not None

    return evaluate


def _call(node: s.Call, scope: Scope) -> Evaluate:
    if node.name in AGGREGATES:
        return _aggregate(node, scope)
    function = FUNCTIONS.get(node.name)
    if function is None:
        raise UnsupportedError(f"The function {node.name}")
    given = len(node.arguments)
    if given < function.least or (function.most is not None and given > function.most):
        most = "or more" if function.most is None else f"to {function.most}"
        wanted = str(function.least) if function.least == function.most else f"{function.least} {most}"
        raise QueryError(f"The {node.name} function requires {wanted} argument(s), but got {given}.")
    body = function.body
    arguments = [compile_node(argument, scope) for argument in node.arguments]
    if given == 1:
        only = arguments[0]
        return lambda row, parameters: body(only(row, parameters))
    if given == 2:
        first, second = arguments
        return lambda row, parameters: body(first(row, parameters), second(row, parameters))
    return lambda row, parameters: body(*[argument(row, parameters) for argument in arguments])


def _aggregate(node: s.Call, scope: Scope) -> Evaluate:
    if scope.aggregates is None:
        raise QueryError(f"The aggregate {node.name} can only be used in the SELECT list of its query.")
    if len(node.arguments) != 1:
        raise QueryError(f"The {node.name} function requires 1 argument(s), but got {len(node.arguments)}.")
    place = scope.aggregates.setdefault(node, len(scope.aggregates))
    slot = scope.aggregate_slot
    return lambda row, parameters: row[slot][place]


def _subquery(node: s.Subquery, scope: Scope) -> Evaluate:
    selection = scope.subquery(node.select, scope)

    def exists(row: Row, parameters: Parameters) -> Any:
        return any(True for _ in selection.produce(row, parameters))

    def array(row: Row, parameters: Parameters) -> Any:
        return list(selection.produce(row, parameters))

    def scalar(row: Row, parameters: Parameters) -> Any:
        found = list(selection.produce(row, parameters))
        if len(found) > 1:
            raise QueryError(
                "The cardinality of a scalar subquery result set cannot be greater than one; use ARRAY(…)."
            )
        return found[0] if found else UNDEFINED

    return {"exists": exists, "array": array, "scalar": scalar}[node.kind]


def _parenthesis(node: s.Parenthesis, scope: Scope) -> Evaluate:
    return compile_node(node.operand, scope)


_COMPILERS: dict[type[s.Node], Callable[[Any, Scope], Evaluate]] = {
    s.Literal: _literal,
    s.Parameter: _parameter,
    s.Identifier: _identifier,
    s.Step: _step,
    s.ArrayOf: _array,
    s.ObjectOf: _object,
    s.Unary: _unary,
    s.Binary: _binary,
    s.All: _all,
    s.Any_: _any,
    s.Coalesce: _coalesce,
    s.Conditional: _conditional,
    s.Among: _among,
    s.Between: _between,
    s.Like: _like,
    s.Call: _call,
    s.Subquery: _subquery,
    s.Parenthesis: _parenthesis,
}
