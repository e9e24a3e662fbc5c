"""HTTP routes: templates with parameters and constraints, and which function answers a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from local.host.bindings import FunctionSpec, HttpTrigger
from local.host.errors import HostStartError

_PARAMETER = re.compile(r"^\{(\*{0,2})([A-Za-z_][\w-]*)((?::[^:{}()?=]+(?:\([^)]*\))?)*)(\?|=[^{}]*)?\}$")
_GUID = re.compile(r"^\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?$", re.IGNORECASE)

Check = Callable[[str], bool]


def _matches(pattern: str) -> Check:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda text: compiled.fullmatch(text) is not None


def _within(low: int | None, high: int | None) -> Check:
    def check(text: str) -> bool:
        if not re.fullmatch(r"-?\d{1,19}", text):
            return False
        return (low is None or int(text) >= low) and (high is None or int(text) <= high)

    return check


def _long(low: int, high: int | None) -> Check:
    return lambda text: len(text) >= low and (high is None or len(text) <= high)


_SIMPLE: Mapping[str, Check] = {
    "int": _within(-(2**31), 2**31 - 1),
    "long": _within(-(2**63), 2**63 - 1),
    "bool": _matches("true|false"),
    "alpha": _matches("[a-z]+"),
    "guid": lambda text: _GUID.match(text) is not None,
    "decimal": _matches(r"-?\d+(\.\d+)?"),
    "double": _matches(r"-?\d+(\.\d+)?(e[+-]?\d+)?"),
    "float": _matches(r"-?\d+(\.\d+)?(e[+-]?\d+)?"),
    "datetime": _matches(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?"),
    "required": lambda text: bool(text),
}
_WITH_ARGUMENTS: Mapping[str, tuple[int, Callable[..., Check]]] = {
    "minlength": (1, lambda low: _long(low, None)),
    "maxlength": (1, lambda high: _long(0, high)),
    "min": (1, lambda low: _within(low, None)),
    "max": (1, lambda high: _within(None, high)),
    "range": (2, _within),
}


def parse_constraint(text: str) -> Check:
    """Return the check of a constraint such as ``int`` or ``range(1,5)``; ``ValueError`` if it is unknown."""
    name, _, rest = text.partition("(")
    if not rest and name in _SIMPLE:
        return _SIMPLE[name]
    try:
        numbers = [int(part) for part in rest.rstrip(")").split(",")] if rest else []
    except ValueError:
        raise ValueError(f"the constraint {text!r} needs whole numbers") from None
    if name == "length" and len(numbers) in (1, 2):
        return _long(numbers[0], numbers[-1])
    count, make = _WITH_ARGUMENTS.get(name, (0, None))
    if make is None or len(numbers) != count:
        raise ValueError(f"the constraint {text!r} is not known")
    return make(*numbers)


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a template: a literal, a parameter, or the rest of the path."""

    literal: str | None = None
    name: str = ""
    checks: tuple[Check, ...] = ()
    optional: bool = False
    default: str | None = None
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """A template bound to a function."""

    spec: FunctionSpec
    trigger: HttpTrigger
    segments: tuple[Segment, ...]

    @property
    def rank(self) -> tuple[Any, ...]:
        """Sorts the more specific first: literals before checked parameters, parameters, and the rest."""
        ranks = [
            0 if part.literal is not None else 3 if part.rest else 1 if part.checks else 2
            for part in self.segments
        ]
        return (*ranks, 4)

    def match(self, path: list[str]) -> dict[str, str] | None:
        """Return the parameters that a path gives, or None if it does not fit."""
        values: dict[str, str] = {}
        for position, part in enumerate(self.segments):
            if part.rest:
                values[part.name] = "/".join(path[position:])
                return values
            if position >= len(path):
                if part.default is not None:
                    values[part.name] = part.default
                elif not part.optional:
                    return None
                continue
            text = path[position]
            if part.literal is not None:
                if text.lower() != part.literal.lower():
                    return None
            elif all(check(text) for check in part.checks):
                values[part.name] = text
            else:
                return None
        return values if len(path) <= len(self.segments) else None


def parse_template(template: str) -> tuple[Segment, ...]:
    """Read a route template; ``ValueError`` says which part of it cannot be used."""
    parts = [part for part in template.strip("/").split("/") if part]
    return tuple(_segment(part, last=index == len(parts) - 1) for index, part in enumerate(parts))


def _segment(part: str, *, last: bool) -> Segment:
    if "{" not in part and "}" not in part:
        return Segment(literal=part)
    match = _PARAMETER.match(part)
    if match is None:
        raise ValueError(f"the part {part!r} is neither plain text nor one parameter like {{id:int}}")
    stars, name, constraints, ending = match.groups()
    optional, default = ending == "?", ending[1:] if ending and ending != "?" else None
    if (stars or optional) and not last:
        raise ValueError(f"the part {part!r} can only be the last one")
    checks = tuple(parse_constraint(text) for text in constraints.split(":") if text)
    return Segment(name=name, checks=checks, optional=optional, default=default, rest=bool(stars))


class Router:
    """All routes of the app."""

    def __init__(self, functions: list[FunctionSpec]) -> None:
        self._routes: list[Route] = []
        for spec in functions:
            if isinstance(spec.trigger, HttpTrigger):
                self._add(spec, spec.trigger)
        self._routes.sort(key=lambda route: route.rank)

    def _add(self, spec: FunctionSpec, trigger: HttpTrigger) -> None:
        try:
            segments = parse_template(trigger.route)
        except ValueError as error:
            raise HostStartError(f"The route of function {spec.name} cannot be used: {error}.") from error
        for other in self._routes:
            same = other.trigger.route.lower() == trigger.route.lower()
            mine, theirs = trigger.methods, other.trigger.methods
            if same and (mine is None or theirs is None or mine & theirs):
                raise HostStartError(
                    f"The functions {other.spec.name} and {spec.name} both answer '{trigger.route}'; "
                    "give them different routes or methods."
                )
        self._routes.append(Route(spec, trigger, segments))

    def __len__(self) -> int:
        return len(self._routes)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the route for a request (its raw path, without the prefix) and the parameters, or None."""
        parts = [unquote(part) for part in path.strip("/").split("/") if part]
        for route in self._routes:
            if route.trigger.methods is not None and method not in route.trigger.methods:
                continue
            values = route.match(parts)
            if values is not None:
                return route, values
        return None
