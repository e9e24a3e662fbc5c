"""Choose the index by which a query finds its candidates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from local.cosmos.errors import bad_request
from local.cosmos.model import Container
from local.cosmos.partitioning import Range
from local.cosmos.query import AnyOf, Bounds, Seek, SortPath
from local.cosmos.reading import Reader

_IDS = "/id/?"
_TIME = "/_ts/?"

VERY_FEW, FEW = 50, 1_000
"""Rows that are collected to compare two indexes: mostly one of them leaves very few, and the other need not
be read further. If even the better one leaves more than a few, it is read to its end."""

NO_LIMIT = 2**62


def narrowed(
    reader: Reader, container: Container, keys: Range, seeks: Sequence[Seek]
) -> Iterable[int] | None:
    """Return the rows that the most selective index leaves, None if a scan is better."""
    for most in (VERY_FEW, FEW):
        best = _most_selective(reader, container, seeks, most)
        if best is None:
            return None
        numbers, seek = best
        if len(numbers) <= most:
            return numbers
    # None of them leaves few. The logical partition itself may be smaller.
    if keys.is_point and reader.in_logical_partition(container, keys.low, FEW + 1) <= FEW:
        return None
    return _sought(reader, container, seek, NO_LIMIT)


def _most_selective(
    reader: Reader, container: Container, seeks: Sequence[Seek], most: int
) -> tuple[set[int], Seek] | None:
    """Return the seek that leaves the fewest rows, and these; if they are more than ``most``, one more."""
    best: tuple[set[int], Seek] | None = None
    for seek in seeks:
        found = _sought(reader, container, seek, most)
        if found is not None and (best is None or len(found) < len(best[0])):
            best = found, seek
            most = min(most, len(found))  # the next one is of interest only if it leaves fewer
    return best


def served_by_service(container: Container, seeks: Sequence[Seek]) -> bool:
    """Say whether the service would find the matches by its index, whatever this server has to do."""

    return any(all(_is_indexed(container, path) for path in _paths(seek)) for seek in seeks)


def check_sort(container: Container, keys: Sequence[SortPath]) -> None:
    """Refuse to sort where the service has no index to sort by.

    Raises
    ------
    ServiceError
        400: one path, and the policy excludes it; several, and no composite index has just these.
    """
    if len(keys) > 1 and not container.index.composite(keys):
        raise bad_request(
            "The order by query does not have a corresponding composite index that it can be served from."
        )
    if len(keys) == 1 and not _is_indexed(container, keys[0].path):
        raise bad_request("The index path corresponding to the specified order-by item is excluded.")


def indexes_of(
    container: Container, keys: Range, seeks: Sequence[Seek], sorted_by: Sequence[SortPath]
) -> tuple[list[str], list[str], list[str]]:
    """Return the paths that serve a query in the service, those that could, and the composite indexes."""
    paths = [f"{path}/?" for path in container.key_paths] if keys.is_point else []
    sought = sorted({path for seek in seeks for path in _paths(seek)})
    if len(sorted_by) == 1:
        sought.append(sorted_by[0].path)
    for path in sought:
        if path not in paths:
            paths.append(path)
    utilized = [path for path in paths if _is_indexed(container, path)]
    composite = container.index.composite(sorted_by) if len(sorted_by) > 1 else None
    return utilized, [path for path in paths if path not in utilized], [composite] if composite else []


def _is_indexed(container: Container, path: str) -> bool:
    return path in (_IDS, _TIME) or container.index.includes(path)


def _paths(seek: Seek) -> set[str]:
    return {seek.path} if isinstance(seek, Bounds) else {term.path for term in seek.terms}


def _sought(reader: Reader, container: Container, seek: Seek, most: int) -> set[int] | None:
    """Return the rows that may match, ``most`` and one at most; None if there is no index for it."""
    paths = _paths(seek)
    match seek:
        case AnyOf(terms) if (paths - {_IDS}).issubset(container.index.paths):
            ids = [t.value for t in terms if t.path == _IDS and isinstance(t.value, str)]
            others = [(t.path, t.value) for t in terms if t.path != _IDS]
            found = reader.with_ids(container, ids, most) if ids else set()
            return found | reader.with_terms(container, others, most) if others else found
        case Bounds(path, low, high) if path == _TIME:
            if isinstance(low, str) or isinstance(high, str):
                return set()  # the time is a number, and a number is never between two strings
            return reader.written_between(container, low, high, most)
        case Bounds(path, low, high) if path in container.index.paths:
            return reader.with_value_between(container, path, low, high, most)
    return None
