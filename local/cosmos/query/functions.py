"""The scalar functions: how many arguments each takes, and what it does with them.

A function gets values, never expressions. Unless it is marked as *lenient* it yields undefined as soon as an
argument is undefined, so that only the functions that ask about undefined have to know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from local.cosmos.query.values import UNDEFINED, Undefined, is_int64, is_number, is_primitive, same

Body = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the language; ``most`` is None where it takes any number of arguments."""

    name: str
    least: int
    most: int | None
    body: Body


FUNCTIONS: dict[str, Function] = {}

Kinds = type | tuple[type, ...]
NUMBER = (int, float)
ANY: tuple[type, ...] = (str, int, float, bool, list, dict, type(None))


def strict(
    name: str, *kinds: Kinds, least: int | None = None, rest: Kinds | None = None
) -> Callable[[Body], Body]:
    """Register a function that is undefined unless every argument has the type it must have.

    Parameters
    ----------
    kinds
        The types of each argument in turn; ``least`` of them are required, all unless given.
    rest
        The type of any further arguments, where their number is free.
    """
    wanted = [kind if isinstance(kind, tuple) else (kind,) for kind in kinds]
    further: tuple[type, ...] = () if rest is None else rest if isinstance(rest, tuple) else (rest,)

    def decorate(body: Body) -> Body:
        def checked(*arguments: Any) -> Any:
            # type() and not isinstance(): a boolean is no number here
            for argument, accepted in zip(arguments, wanted, strict=False):
                if type(argument) not in accepted:
                    return UNDEFINED
            for argument in arguments[len(wanted) :]:
                if type(argument) not in further:
                    return UNDEFINED
            return body(*arguments)

        most = None if rest is not None else len(kinds)
        FUNCTIONS[name] = Function(name, len(kinds) if least is None else least, most, checked)
        return body

    return decorate


def lenient(name: str, least: int, most: int | None) -> Callable[[Body], Body]:
    """Register a function that takes any values, undefined among them."""

    def decorate(body: Body) -> Body:
        FUNCTIONS[name] = Function(name, least, most, body)
        return body

    return decorate


# Type checking


def _type_check(name: str, test: Callable[[Any], bool]) -> None:
    FUNCTIONS[name] = Function(name, 1, 1, test)


_type_check("IS_DEFINED", lambda value: value is not UNDEFINED)
_type_check("IS_NULL", lambda value: value is None)
_type_check("IS_STRING", lambda value: type(value) is str)
_type_check("IS_NUMBER", is_number)
_type_check("IS_BOOL", lambda value: type(value) is bool)
_type_check("IS_ARRAY", lambda value: type(value) is list)
_type_check("IS_OBJECT", lambda value: type(value) is dict)
_type_check("IS_PRIMITIVE", lambda value: type(value) is not Undefined and is_primitive(value))
_type_check("IS_INTEGER", lambda value: is_number(value) and is_int64(value))
_type_check("IS_FINITE_NUMBER", is_number)


# Conditions


@lenient("IIF", 3, 3)
def _iif(condition: Any, then: Any, otherwise: Any) -> Any:
    return then if condition is True else otherwise


@lenient("CHOOSE", 2, None)
def _choose(position: Any, *choices: Any) -> Any:
    if not is_number(position) or position != int(position) or not 1 <= position <= len(choices):
        return UNDEFINED
    return choices[int(position) - 1]


# Arrays, sets and objects


@lenient("ARRAY_CONTAINS", 2, 3)
def array_contains(array: Any, wanted: Any, partial: Any = False) -> Any:
    """Say whether an element equals the value, or, if partial, has at least its properties."""
    if type(array) is not list or wanted is UNDEFINED or type(partial) is not bool:
        return UNDEFINED
    kind = type(wanted)
    if kind is str:
        return wanted in array
    test = _covers if partial else same
    return any(test(item, wanted) for item in array)


def _covers(item: Any, wanted: Any) -> bool:
    if type(wanted) is not dict or type(item) is not dict:
        return same(item, wanted)
    return all(key in item and _covers(item[key], value) for key, value in wanted.items())


@lenient("ARRAY_CONTAINS_ANY", 2, None)
def _array_contains_any(array: Any, *wanted: Any) -> Any:
    if type(array) is not list:
        return UNDEFINED
    return any(_contains(array, value) for value in wanted if value is not UNDEFINED)


@lenient("ARRAY_CONTAINS_ALL", 2, None)
def _array_contains_all(array: Any, *wanted: Any) -> Any:
    if type(array) is not list:
        return UNDEFINED
    return all(_contains(array, value) for value in wanted if value is not UNDEFINED)


def _contains(array: Iterable[Any], value: Any) -> bool:
    return any(same(item, value) for item in array)


@strict("ARRAY_LENGTH", list)
def _array_length(array: list[Any]) -> Any:
    return len(array)


@strict("ARRAY_CONCAT", list, list, rest=list)
def _array_concat(*arrays: list[Any]) -> Any:
    return [item for array in arrays for item in array]


@strict("ARRAY_SLICE", list, NUMBER, NUMBER, least=2)
def _array_slice(array: list[Any], start: float, length: float | None = None) -> Any:
    first = int(start) if start >= 0 else max(0, len(array) + int(start))
    return array[first:] if length is None else array[first : first + max(0, int(length))]


def _distinct(items: Iterable[Any]) -> list[Any]:
    kept: list[Any] = []
    for item in items:
        if not _contains(kept, item):
            kept.append(item)
    return kept


@strict("SETINTERSECT", list, list)
def _set_intersect(left: list[Any], right: list[Any]) -> Any:
    return _distinct(item for item in left if _contains(right, item))


@strict("SETUNION", list, list)
def _set_union(left: list[Any], right: list[Any]) -> Any:
    return _distinct([*left, *right])


@strict("SETDIFFERENCE", list, list)
def _set_difference(left: list[Any], right: list[Any]) -> Any:
    return _distinct(item for item in left if not _contains(right, item))


@strict("SETEQUAL", list, list)
def _set_equal(left: list[Any], right: list[Any]) -> Any:
    return all(_contains(right, item) for item in left) and all(_contains(left, item) for item in right)


@strict("OBJECTTOARRAY", dict, str, str, least=1)
def _object_to_array(value: dict[str, Any], key_name: str = "k", value_name: str = "v") -> Any:
    return [{key_name: key, value_name: item} for key, item in value.items()]
