"""Indexing policies: what the service accepts, and the terms that queries can seek by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from local.cosmos.errors import bad_request

ALL = "/*"
_PATH = re.compile(r'/(\*|\?|(("[^"]+"|[^/"?*\[\]]+|\[\])(/("[^"]+"|[^/"?*\[\]]+|\[\]))*(/[*?])?))')

DEFAULT_POLICY: dict[str, Any] = {
    "indexingMode": "consistent",
    "automatic": True,
    "includedPaths": [{"path": ALL}],
    "excludedPaths": [{"path": '/"_etag"/?'}],
}

Scalar = str | int | float | bool | None


def checked_policy(policy: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the policy as the service would store it.

    Raises
    ------
    ServiceError
        400: a path is malformed, or ``/*`` is in neither or both lists.
    """
    if policy is None:
        return dict(DEFAULT_POLICY)
    mode = str(policy.get("indexingMode", "consistent")).lower()
    if mode not in ("consistent", "none"):
        raise bad_request(f"The indexing mode {mode!r} is not valid.")
    stored: dict[str, Any] = {"indexingMode": mode, "automatic": bool(policy.get("automatic", True))}
    included = list(policy.get("includedPaths", []))
    excluded = list(policy.get("excludedPaths", []))
    if mode == "none":
        return stored | {"automatic": False, "includedPaths": [], "excludedPaths": []}
    if not included and not excluded:
        included, excluded = DEFAULT_POLICY["includedPaths"], DEFAULT_POLICY["excludedPaths"]
    for entry in (*included, *excluded):
        path = entry.get("path") if isinstance(entry, Mapping) else None
        if not isinstance(path, str) or not _PATH.fullmatch(path):
            raise bad_request(f"The indexing path {path!r} is not valid.")
    roots = [sum(entry["path"] == ALL for entry in paths) for paths in (included, excluded)]
    if sum(roots) != 1:
        raise bad_request(
            'The special mandatory indexing path "/*" is not provided in any of the path type sets, or in '
            "more than one. Please provide it in exactly one of them."
        )
    for index in policy.get("compositeIndexes", []):
        if len(index) < 2:
            raise bad_request("A composite index must have at least two paths.")
    if not any(entry["path"] == '/"_etag"/?' for entry in excluded):
        excluded.append({"path": '/"_etag"/?'})
    stored |= {"includedPaths": included, "excludedPaths": excluded}
    if policy.get("compositeIndexes"):
        stored["compositeIndexes"] = policy["compositeIndexes"]
    return stored


def sought_paths(policy: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths whose values are kept as terms: those included by name, where nothing else is.

    Under a policy that includes ``/*`` a query scans its partition instead.
    """
    included = [entry["path"] for entry in policy.get("includedPaths", [])]
    return () if ALL in included else tuple(path for path in included if path.endswith("/?"))


def terms(document: Mapping[str, Any], paths: tuple[str, ...]) -> set[tuple[str, Scalar]]:
    """Return path and value of every scalar at one of the paths."""
    return {
        (path, value)
        for path in paths
        for value in _values(document, path.strip("/").split("/")[:-1])
        if not isinstance(value, dict | list)
    }


def _values(value: Any, steps: list[str]) -> Iterator[Any]:
    if not steps:
        yield value
    elif steps[0] == "[]":
        if isinstance(value, list):
            for item in value:
                yield from _values(item, steps[1:])
    elif isinstance(value, Mapping) and steps[0].strip('"') in value:
        yield from _values(value[steps[0].strip('"')], steps[1:])


def count_terms(document: Any, policy: Mapping[str, Any]) -> int:
    """Return how many terms an item has in the index, for the estimate of its charge."""
    included = [entry["path"] for entry in policy.get("includedPaths", [])]
    if ALL not in included:
        return len(terms(document, tuple(path for path in included if path.endswith("?"))))
    return _leaves(document)


def _leaves(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(_leaves(item) for key, item in value.items() if not str(key).startswith("_"))
    if isinstance(value, list):
        return sum(map(_leaves, value))
    return 1
