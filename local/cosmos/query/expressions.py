"""From ``syntax`` to Python closures, so that a filter over many items costs calls and no interpretation.

A compiled expression takes a *row* — the values of the sources in scope, by slot — and the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from local.cosmos.query import (
    functions_math,
    functions_text,
    functions_time,
)
from local.cosmos.query import syntax as s
from local.cosmos.query.aggregates import AGGREGATES
from local.cosmos.query.errors import UNKNOWN_NAME, QueryError, UnsupportedError
from local.cosmos.query.functions import FUNCTIONS
from local.cosmos.query.operators import BINARY, UNARY, equal, like_pattern
from local.cosmos.query.values import UNDEFINED, identity, is_number

# Importing them registers their functions.
_REGISTERED = (functions_math, functions_text, functions_time)

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]
Evaluate = Callable[[Row, Parameters], Any]


class Subselection(Protocol):
    """A compiled subquery."""

    def produce(self, row: Row, parameters: Parameters) -> Iterator[Any]:
        """Yield its results for one row of the query around it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The names an expression may use.

    ``names`` are the aliases by slot; an empty one stands for a slot that has no name. Where aggregates may
    be used, ``aggregates`` collects them, and their results are in the slot ``aggregate_slot``.
    """

    subquery: Callable[[s.Select, Scope], Subselection]
    names: tuple[str, ...] = ()
    aggregates: dict[s.Call, int] | None = field(default=None, compare=False)
    aggregate_slot: int = -1

    def slot(self, name: str) -> int:
        """Return the slot of an alias; the innermost of several."""
        for slot in range(len(self.names) - 1, -1, -1):
            if self.names[slot] == name:
                return slot
        if name in ("NaN", "Infinity"):
            raise UnsupportedError(f"The number {name}")
        known = ", ".join(repr(name) for name in self.names if name) or "none"
        raise QueryError(
            f"Identifier '{name}' could not be resolved; the names in scope: {known}.", None, UNKNOWN_NAME
        )

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
    operand, compute = compile_node(node.operand, scope), UNARY[node.operator]
    return lambda row, parameters: compute(operand(row, parameters))


def _binary(node: s.Binary, scope: Scope) -> Evaluate:
    left, right = compile_node(node.left, scope), compile_node(node.right, scope)
    compute = BINARY[node.operator]
    return lambda row, parameters: compute(left(row, parameters), right(row, parameters))


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
        return any(equal(value, choice(row, parameters)) is True for choice in choices)

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


def _like(node: s.Like, scope: Scope) -> Evaluate:
    operand, pattern = compile_node(node.operand, scope), compile_node(node.pattern, scope)
    escape = node.escape

    def evaluate(row: Row, parameters: Parameters) -> Any:
        text, wanted = operand(row, parameters), pattern(row, parameters)
        if type(text) is not str or type(wanted) is not str:
            return UNDEFINED
        return like_pattern(wanted, escape).fullmatch(text) is not None

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
