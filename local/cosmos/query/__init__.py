"""The query language of Azure Cosmos DB for NoSQL: ``compile_query`` once, run over any documents.

What is here is what docs/local-cosmos.md lists; anything else raises ``UnsupportedError``, which names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from local.cosmos.query.checks import parameters_of
from local.cosmos.query.errors import QueryError, UnsupportedError
from local.cosmos.query.ordering import Place, SortPath, sort_paths
from local.cosmos.query.parser import parse
from local.cosmos.query.plan import counts_only, features_of, plan_of
from local.cosmos.query.seek import AnyOf, Bounds, Seek, Seeker, Term
from local.cosmos.query.selection import compile_select

__all__ = [
    "AnyOf",
    "Bounds",
    "Place",
    "Query",
    "QueryError",
    "Seek",
    "SortPath",
    "Term",
    "UnsupportedError",
    "compile_query",
]


class Query:
    """A query, compiled; it holds nothing of an execution, so it may be shared.

    The mapping of parameters holds their values by name, ``@`` included. ``results`` knows an execution by
    its mapping: pass the same one for every document, and never change what it holds.

    Attributes
    ----------
    text
        As it was given.
    streaming
        Only filter and projection: it can be paged document by document with ``results``.
    resumable
        It is sorted, and ``resume`` goes on behind the place of any result.
    sort_paths
        What it sorts by.
    filters
        It has a filter.
    counts_only
        It counts the items that its filter leaves, and needs none of them.
    features
        What a client must be able to merge to run it across partitions: ``OrderBy``, ``GroupBy``, ….
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._select = parse(text)
        self._compiled = compile_select(self._select)
        self._seeker = Seeker(self._select)
        self.streaming = self._compiled.streaming
        self.resumable = self._compiled.resumable
        self.sort_paths = sort_paths(self._select)
        self.filters = self._select.where is not None
        self.counts_only = counts_only(self._select)
        self.features = features_of(self._select)
        self._parameters = parameters_of(self._select)

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Refuse to run without a parameter that the query uses, whether or not a document gets that far.

        Raises
        ------
        QueryError
            A parameter has no value.
        """
        for name in sorted(self._parameters - parameters.keys()):
            raise QueryError(f"The query uses the parameter {name}, but no value was given for it.")

    def results(self, document: dict[str, Any], parameters: Mapping[str, Any]) -> list[Any]:
        """Return what one document yields: nothing, one result, or with JOIN or IN several.

        Raises
        ------
        QueryError
            A parameter has no value, or a pattern is not valid.
        """
        return list(self._compiled.produce_all(((document,),), parameters))

    def run(self, documents: Iterable[dict[str, Any]], parameters: Mapping[str, Any]) -> list[Any]:
        """Return the results of the whole query over the documents.

        Raises
        ------
        QueryError
            A parameter has no value, TOP is no whole number, or a pattern is not valid.
        """
        starts = ((document,) for document in documents) if self._select.sources else ((),)
        # a copy, so that a mapping that was changed since the last execution is not taken for the same
        return list(self._compiled.produce_all(starts, dict(parameters)))

    def resume(
        self,
        documents: Iterable[tuple[tuple[str, str], dict[str, Any]]],
        parameters: Mapping[str, Any],
        *,
        after: Place | None,
        returned: int,
    ) -> list[tuple[Place, Any]]:
        """Return the results of a sorted query behind a place, each with its own.

        Parameters
        ----------
        documents
            Key and id of an item, and the item, in the order of key and id.
        after
            Place of the last result that was returned, None for all results.
        returned
            How many results were returned up to there.

        Raises
        ------
        QueryError
            As :meth:`run`.
        """
        starts = ((name, (document,)) for name, document in documents)
        return list(self._compiled.resume(starts, dict(parameters), after, returned))

    def keeps(self, document: dict[str, Any], parameters: Mapping[str, Any]) -> bool:
        """Say whether the filter lets a document, or a row that it is joined to, through.

        Raises
        ------
        QueryError
            As :meth:`results`.
        """
        return self._compiled.keeps((document,), parameters)

    def seek(self, parameters: Mapping[str, Any]) -> tuple[Seek, ...]:
        """Return what an index could narrow the documents to, the most selective first; none must be used."""
        return self._seeker.seeks(parameters)

    def plan(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plan by which a client merges the results of several physical partitions.

        Raises
        ------
        QueryError
            TOP, OFFSET or LIMIT has no usable value.
        UnsupportedError
            The results of partitions cannot be merged.
        """
        return plan_of(self._select, parameters)


@lru_cache(1024)
def compile_query(text: str) -> Query:
    """Return the query, parsed and compiled once for each text.

    Raises
    ------
    QueryError
        It is not in the language; the error says where.
    UnsupportedError
        It uses what the local server does not have.
    """
    return Query(text)
