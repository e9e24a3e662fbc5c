"""Indexing policies: what the service accepts, the terms that queries can seek by, and how many there are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from local.cosmos.errors import bad_request, unsupported
from local.cosmos.query.ordering import SortPath

ALL = "/*"
MAX_PATHS = 1_500
"""Of each list."""
MAX_COMPOSITE_INDEXES = 100
MAX_COMPOSITE_PATHS = 8
_LABEL = r'("[^"]+"|\w+)'
_PATH = re.compile(rf"/(\*|{_LABEL}(/({_LABEL}|\[\]))*/[*?])", re.ASCII)
_SORTED_PATH = re.compile(rf"(/{_LABEL})+", re.ASCII)
_STEP = re.compile(r'"[^"]+"|[^/]+')

DEFAULT_POLICY: dict[str, Any] = {
    "indexingMode": "consistent",
    "automatic": True,
    "includedPaths": [{"path": ALL}],
    "excludedPaths": [{"path": '/"_etag"/?'}],
}

_UNSUPPORTED = {"vectorIndexes": "Vector search", "fullTextIndexes": "Full-text search"}

SYSTEM_PROPERTIES = frozenset({"_rid", "_self", "_etag", "_attachments", "_ts", "_lsn"})

Scalar = str | int | float | bool | None
Stored = str | int | float | bytes
"""A scalar as the index keeps it: null, false and true as bytes, so that types stay apart and in order."""

Term = tuple[str, Stored]
"""An indexing path and a value found there."""

_LARGEST_INTEGER = 2**63 - 1


def checked_policy(policy: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the policy as the service would store it.

    Raises
    ------
    ServiceError
        400: a path is malformed, or ``/*`` is in neither or both lists.
    """
    if policy is None:
        return dict(DEFAULT_POLICY)
    if not isinstance(policy, Mapping):
        raise bad_request(f"The indexing policy is not an object but {type(policy).__name__}.")
    for name, meaning in _UNSUPPORTED.items():
        if policy.get(name):
            raise unsupported(meaning)
    mode = str(policy.get("indexingMode", "consistent")).lower()
    if mode not in ("consistent", "none"):
        raise bad_request(f"The indexing mode {mode!r} is not valid.")
    stored: dict[str, Any] = {"indexingMode": mode, "automatic": bool(policy.get("automatic", True))}
    included = list(policy.get("includedPaths", []))
    excluded = list(policy.get("excludedPaths", []))
    if mode == "none":
        return stored | {"automatic": False, "includedPaths": [], "excludedPaths": []}
    if not included and not excluded:
        included, excluded = DEFAULT_POLICY["includedPaths"], list(DEFAULT_POLICY["excludedPaths"])
    for entry in (*included, *excluded):
        path = entry.get("path") if isinstance(entry, Mapping) else None
        if not isinstance(path, str) or (path != "/" and not _PATH.fullmatch(path)):
            raise bad_request(
                f"The indexing path {path!r} could not be accepted. Common errors: no /? or /* at the end, "
                "invalid characters, or labels of more than letters, digits and _ without quotes around them."
            )
    for kind, entries in (("includes", included), ("excludes", excluded)):
        if len(entries) > MAX_PATHS:
            raise bad_request(f"The policy {kind} {len(entries)} paths, of at most {MAX_PATHS}.")
    included, excluded = [_rooted(entry) for entry in included], [_rooted(entry) for entry in excluded]
    for path, times in Counter(entry["path"] for entry in (*included, *excluded)).items():
        if times > 1 and path != ALL:
            raise bad_request(f"The indexing path {path!r} is specified more than once.")
    roots = [sum(entry["path"] == ALL for entry in paths) for paths in (included, excluded)]
    if sum(roots) != 1:
        raise bad_request(
            'The special mandatory indexing path "/*" is not provided in any of the path type sets, or in '
            "more than one. Please provide it in exactly one of them."
        )
    if not any(entry["path"] == '/"_etag"/?' for entry in excluded):
        excluded.append({"path": '/"_etag"/?'})
    stored |= {"includedPaths": included, "excludedPaths": excluded}
    if policy.get("spatialIndexes"):
        stored["spatialIndexes"] = policy["spatialIndexes"]  # the functions that would use them are refused
    if len(policy.get("compositeIndexes") or ()) > MAX_COMPOSITE_INDEXES:
        raise bad_request(f"A container has at most {MAX_COMPOSITE_INDEXES} composite indexes.")
    if policy.get("compositeIndexes"):
        stored["compositeIndexes"] = [_checked_composite(index) for index in policy["compositeIndexes"]]
    return stored


def _rooted(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry as it is stored: the older ``/`` is ``/*``, and kinds of index are left out."""
    return {"path": ALL if entry["path"] == "/" else entry["path"]}


def _checked_composite(index: Any) -> list[dict[str, str]]:
    if not isinstance(index, list) or len(index) < 2:
        raise bad_request(f"A composite index must have at least two paths: {index!r}.")
    if len(index) > MAX_COMPOSITE_PATHS:
        raise bad_request(f"A composite index has {len(index)} paths, of at most {MAX_COMPOSITE_PATHS}.")
    checked: list[dict[str, str]] = []
    for entry in index:
        path = entry.get("path") if isinstance(entry, Mapping) else None
        if not isinstance(path, str) or not _SORTED_PATH.fullmatch(path):
            raise bad_request(
                f"The composite index path {path!r} is not valid: it leads to a scalar, without /? or /*."
            )
        if any(path == known["path"] for known in checked):
            raise bad_request(f"The path {path!r} is specified more than once in a composite index.")
        order = str(entry.get("order", "ascending")).lower()
        if order not in ("ascending", "descending"):
            raise bad_request(f"The order {order!r} of {path} must be ascending or descending.")
        checked.append({"path": path, "order": order})
    return checked


def stored_value(value: Scalar) -> Stored:
    """Return a scalar as the index keeps it."""
    if type(value) is str:
        return value
    if value is None:
        return b"null"
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int) and not -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER:
        return float(value)
    return value


@dataclass(slots=True)
class _Node:
    """A step of the policy's paths: whether scalars here, and what lies below, are in the index."""

    scalar: bool | None = None
    below: bool | None = None
    steps: dict[str, _Node] = field(default_factory=dict)


class Index:
    """A policy, ready to be applied to documents.

    Attributes
    ----------
    everything
        The policy includes ``/*``: a query scans its partition, no terms are kept.
    paths
        The paths whose values are kept as terms: those included by name, where nothing else is.
    """

    def __init__(
        self,
        paths: tuple[str, ...],
        root: _Node,
        composites: tuple[tuple[SortPath, ...], ...],
        *,
        everything: bool,
        named: bool,
    ) -> None:
        self.everything = everything
        self.paths = paths
        self._composites = composites
        self._root = root
        self._named = not everything and named
        self._extractors = [(path, _steps(path)) for path in paths]

    @classmethod
    def of(cls, policy: Mapping[str, Any]) -> Self:
        """Compile a policy that :func:`checked_policy` returned."""
        included = [entry["path"] for entry in policy.get("includedPaths", [])]
        root = _Node(below=False)
        for excluded in policy.get("excludedPaths", []):
            _enter(root, excluded["path"], included=False)
        for path in included:
            _enter(root, path, included=True)
        everything = ALL in included
        kept = () if everything else tuple(sorted({path for path in included if path.endswith("/?")}))
        named = all(path.endswith("/?") for path in included)
        composites = tuple(
            tuple(
                SortPath(tuple(_steps(f"{entry['path']}/?")), entry["order"] == "descending")
                for entry in index
            )
            for index in policy.get("compositeIndexes", [])
        )
        return cls(kept, root, composites, everything=everything, named=named)

    def composite(self, keys: Sequence[SortPath]) -> str | None:
        """Return the composite index that serves ORDER BY with several keys, as text; None if there is none.

        It has just these paths in this sequence, each in the direction asked for, or each in the other one.
        """
        reverse = [SortPath(key.steps, not key.descending) for key in keys]
        for index in self._composites:
            if list(index) in (list(keys), reverse):
                return ", ".join(
                    f"{key.path.removesuffix('/?')} {'DESC' if key.descending else 'ASC'}" for key in index
                )
        return None

    def includes(self, path: str) -> bool:
        """Say whether the policy includes the scalars at a path such as ``/kind/?``."""
        node: _Node | None = self._root
        included = bool(self._root.below)
        for step in _steps(path):
            node = node.steps.get(step) if node else None
            if node is not None and node.below is not None:
                included = node.below
        return included if node is None or node.scalar is None else node.scalar

    def terms(self, document: Mapping[str, Any]) -> set[Term]:
        """Return path and value of every scalar at one of ``paths``."""
        found: set[Term] = set()
        for path, steps in self._extractors:
            for value in _values(document, steps):
                if not isinstance(value, dict | list):
                    found.add((path, stored_value(value)))
        return found

    def count(self, document: Mapping[str, Any], terms: set[Term]) -> int:
        """Return how many terms the service would keep of a document, for the estimate of its charge."""
        if self._named:
            return len(terms)
        return sum(
            _leaves(value, self._root.steps.get(name), included=bool(self._root.below))
            for name, value in document.items()
            if name not in SYSTEM_PROPERTIES
        )


def _steps(path: str) -> list[str]:
    return [step.strip('"') for step in _STEP.findall(path)][:-1]


def _values(document: Mapping[str, Any], steps: list[str]) -> list[Any]:
    values: list[Any] = [document]
    for step in steps:
        if step == "[]":
            values = [element for value in values if type(value) is list for element in value]
        else:
            values = [value[step] for value in values if type(value) is dict and step in value]
    return values


def _enter(root: _Node, path: str, *, included: bool) -> None:
    node = root
    steps = _STEP.findall(path)
    last = steps.pop() if steps[-1] in ("*", "?") else "*"
    for step in steps:
        node = node.steps.setdefault(step.strip('"'), _Node())
    if last == "*":
        node.below = included
    else:
        node.scalar = included


def _leaves(value: Any, node: _Node | None, *, included: bool) -> int:
    """Count the scalars below ``value`` that the policy includes; the most exact path decides."""
    if node is not None and node.below is not None:
        included = node.below
    if isinstance(value, dict):
        if node is None:
            return sum(_leaves(part, None, included=included) for part in value.values())
        return sum(_leaves(part, node.steps.get(name), included=included) for name, part in value.items())
    if isinstance(value, list):
        inner = node.steps.get("[]") if node is not None else None
        return sum(_leaves(part, inner, included=included) for part in value)
    if node is not None and node.scalar is not None:
        included = node.scalar
    return int(included)
