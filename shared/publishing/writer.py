"""Write published documents: each says which state it shows; of two writers the one that shows more wins."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

from azure.core import MatchConditions
from azure.cosmos.aio import DatabaseProxy

from shared.containers import DAY
from shared.cosmos.charges import record_charge
from shared.cosmos.items import find_item
from shared.cosmos.queries import Query, run_query
from shared.views.base import DocumentSet, Rendered, Stamp

REMEMBERED_DOCUMENTS = 20_000
"""Published documents whose etag an instance keeps, at some 100 bytes each, to save a read per write."""

STAMPED = frozenset({"state", "calculated_at", "data_freshness", "last_updated", "generated_at"})
"""Fields that change with every publication."""

LONG_TTL = 7 * DAY
"""Documents that live so long need not be written again for the sake of the clock alone."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class StaleReadError(Exception):
    """The merge saw less than what is published: an old delivery, or a replica that lags. Read again.

    If the state itself went back, because ``view_state`` was restored or emptied under the same generation,
    reading again does not help: then the view goes to poison, and a new ``FLEET_GENERATION`` is the way out.
    """

    def __init__(self, message: str, published: Published) -> None:
        super().__init__(message)
        self.published = published
        self.may_pass = False
        """Whether others published meanwhile, or just before: then it is nobody's fault, and worth another
        try later."""


class UnconfirmedError(Exception):
    """There is no document, and the state to show was not read but delivered.

    A newer state may be the reason that there is none: who refuses has no document. Read the state.
    """


@dataclass(frozen=True, slots=True)
class Published:
    """What is known of a document that stands there."""

    etag: str
    generation: int
    revision: int
    tick: str
    digest: str
    content: str
    as_of: datetime | None
    """When the newest partial that it shows was written; None if it does not say."""


class Standing(NamedTuple):
    """A document that stands there, and its partition key value."""

    partition: str
    published: Published


class Writing(NamedTuple):
    """Whether there was anything to write, and what stood there before."""

    done: bool
    replaced: Published | None
    kept: bool = False
    """It was left, for it says the same of an older state."""


class _Address(NamedTuple):
    container: str
    id: str
    partition: str


class Writer:
    """Writes documents of views, and remembers what stands there."""

    def __init__(self, database: DatabaseProxy) -> None:
        self._database = database
        self._documents: OrderedDict[_Address, Published] = OrderedDict()

    async def find(
        self, container_name: str, document_sets: Sequence[DocumentSet]
    ) -> list[dict[str, Standing]]:
        """Return the documents of each document_set, by id; the document_sets have the same partition.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        items = [item async for item in self._of_sets(container_name, document_sets)]
        return [
            {
                item["id"]: Standing(item["partition_key"], _decode(item))
                for item in items
                if item["analysis_period"] == document_set.kind
                and document_set.first <= item["period_start"] <= document_set.last
            }
            for document_set in document_sets
        ]

    def _of_sets(
        self, container_name: str, document_sets: Sequence[DocumentSet]
    ) -> AsyncIterable[dict[str, Any]]:
        """Read the documents of each kind from the first to the last that is asked for."""
        partition = document_sets[0].partition
        bounds: dict[str, tuple[str, str]] = {}
        for document_set in document_sets:
            first, last = bounds.get(document_set.kind, (document_set.first, document_set.last))
            bounds[document_set.kind] = (min(first, document_set.first), max(last, document_set.last))
        condition = " OR ".join(
            f"(c.analysis_period = @kind{n} AND c.period_start >= @first{n} AND c.period_start <= @last{n})"
            for n in range(len(bounds))
        )
        query = Query(
            "documents_of_sets",
            "SELECT c.id, c.partition_key, c.analysis_period, c.period_start, "  # noqa: S608  names alone
            f"c._etag, c.state, c.calculated_at FROM c WHERE {condition}",
        )
        values = {
            f"{name}{n}": value
            for n, (kind, (first, last)) in enumerate(bounds.items())
            for name, value in (("kind", kind), ("first", first), ("last", last))
        }
        container = self._database.get_container_client(container_name)
        return run_query(container, query, values, partition_key=partition)

    async def write(
        self,
        container_name: str,
        rendered: Rendered,
        stamp: Stamp,
        digest: str,
        standing: Mapping[str, Standing] | None = None,
        *,
        again: bool = False,
        keep_equal: bool = False,
        confirmed: bool = True,
    ) -> Writing:
        """Create, replace or delete one document; say whether there was anything to do.

        Parameters
        ----------
        digest
            Is the same only for the same state.
        standing
            What was found just now of the set of the document: saves a read of what is not remembered.
        again
            Write it even if it shows this state already.
        keep_equal
            Leave a document that says the same of an older state, unless it expires soon. Of two writers the
            one that saw less may then win, until the other looks at it again. What stands there is then read,
            not remembered.
        confirmed
            The state was read, and not only delivered: without that nothing is created.

        Raises
        ------
        UnconfirmedError
            There is no document. Read the state, and write again.
        StaleReadError, CosmosAccessConditionFailedError, CosmosResourceExistsError,
        CosmosResourceNotFoundError
            Somebody else wrote it: read the state again.
        """
        address = _Address(container_name, rendered.id, rendered.partition)
        if again:
            self._documents.pop(address, None)
        try:
            # Others may have replaced or deleted what is remembered. The etag says so to whoever writes, and
            # nothing to whoever leaves it.
            published = None if keep_equal else self._documents.get(address)
            if published is None and standing is None:
                published = await self._read_published(address)
            elif published is None and standing is not None and rendered.id in standing:
                published = standing[rendered.id].published
            if published is None and rendered.body is not None and not confirmed:
                raise UnconfirmedError
            return await self._write(
                address, published, rendered, stamp, digest, again=again, keep_equal=keep_equal
            )
        except BaseException:
            self._documents.pop(address, None)  # somebody else may have written it
            raise

    async def _write(
        self,
        address: _Address,
        published: Published | None,
        rendered: Rendered,
        stamp: Stamp,
        digest: str,
        *,
        again: bool,
        keep_equal: bool,
    ) -> Writing:
        container = self._database.get_container_client(address.container)
        here = (stamp.generation, stamp.revision)
        if published is not None:
            there = (published.generation, published.revision)
            same = published.digest == digest and there == here
            if (same and published.tick >= stamp.tick and not again) or there[0] > here[0]:
                if not keep_equal:
                    keep(self._documents, address, published)
                return Writing(done=False, replaced=published)
            if there >= here and not same:
                raise StaleReadError(f"{address.container}: {there} is published", published)
        body = rendered.body
        if body is None:
            if published is not None:
                self._documents.pop(address, None)
                await container.delete_item(
                    rendered.id,
                    rendered.partition,
                    etag=published.etag,
                    match_condition=MatchConditions.IfNotModified,
                    response_hook=record_charge,
                )
            return Writing(done=published is not None, replaced=published)
        content = _content(body)
        if published is not None and keep_equal and not again:
            lasts = published.tick == stamp.tick or (body["_ttl"] or LONG_TTL) >= LONG_TTL
            if lasts and (published.generation, published.content) == (stamp.generation, content):
                return Writing(done=False, replaced=published, kept=True)
        body["state"] |= {"digest": digest, "content": content}
        if published is None:
            written = await container.create_item(body, no_response=True, response_hook=record_charge)
        else:
            written = await container.replace_item(
                body["id"],
                body,
                etag=published.etag,
                match_condition=MatchConditions.IfNotModified,
                no_response=True,
                response_hook=record_charge,
            )
        etag = written.get_response_headers()["etag"]
        now_published = Published(
            etag, stamp.generation, stamp.revision, stamp.tick, digest, content, stamp.as_of
        )
        if not keep_equal:
            keep(self._documents, address, now_published)
        return Writing(done=True, replaced=published)

    async def _read_published(self, address: _Address) -> Published | None:
        container = self._database.get_container_client(address.container)
        item = await find_item(container, address.id, address.partition)
        return None if item is None else _decode(item)


def _decode(item: Mapping[str, Any]) -> Published:
    state = item.get("state", {})
    return Published(
        item["_etag"],
        state.get("generation", 0),
        state.get("revision", 0),
        state.get("tick", ""),
        state.get("digest", ""),
        state.get("content", ""),
        datetime.fromisoformat(item["calculated_at"]) if "calculated_at" in item else None,
    )


def _content(body: Mapping[str, Any]) -> str:
    """Return a short hash of what a document says, whichever state it says it of."""
    said = {name: value for name, value in body.items() if name not in STAMPED}
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def keep(remembered: OrderedDict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Remember something, and forget what was asked for longest ago beyond the bound."""
    remembered[key] = value
    remembered.move_to_end(key)
    while len(remembered) > REMEMBERED_DOCUMENTS:
        remembered.popitem(last=False)
