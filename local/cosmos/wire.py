"""Requests and replies as the data plane sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import orjson

from local.cosmos import charges
from local.cosmos.errors import bad_request


@dataclass(frozen=True, slots=True)
class Request:
    """A request; header names are in lower case."""

    method: str
    headers: dict[str, str]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header, empty if it is not there."""
        return self.headers.get(name, "")

    def flag(self, name: str) -> bool:
        """Say whether a header is there and true."""
        return self.headers.get(name, "").lower() == "true"

    @property
    def is_query(self) -> bool:
        """Whether the body is a query."""
        return self.flag("x-ms-documentdb-isquery") or self.header("content-type").startswith(
            "application/query+json"
        )

    @property
    def is_query_plan(self) -> bool:
        """Whether a query plan is asked for."""
        return self.flag("x-ms-cosmos-is-query-plan-request")

    @property
    def is_batch(self) -> bool:
        """Whether the body is a transactional batch."""
        return self.flag("x-ms-cosmos-is-batch-request")

    @property
    def is_upsert(self) -> bool:
        """Whether a create may overwrite."""
        return self.flag("x-ms-documentdb-is-upsert")

    def page_size(self, default: int) -> int:
        """Return how many results a page may have; -1 leaves it to the server."""
        text = self.header("x-ms-max-item-count")
        try:
            size = int(text) if text else -1
        except ValueError:
            raise bad_request(f"x-ms-max-item-count {text!r} is not a number.") from None
        return size if size > 0 else default

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object.

        Raises
        ------
        ServiceError
            400: it is something else.
        """
        parsed = self.any_json()
        if not isinstance(parsed, dict):
            raise bad_request("The request body must be a JSON object.")
        return parsed

    def any_json(self) -> Any:
        """Return the body as JSON of any kind.

        Raises
        ------
        ServiceError
            400: it is not JSON.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise bad_request(f"The request body is not valid JSON: {error}.") from None


@dataclass(slots=True)
class Reply:
    """An answer."""

    status: int
    body: bytes
    charge: float
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, document: dict[str, Any]) -> Self:
        """Answer with a document; its etag becomes a header."""
        reply = cls(status, orjson.dumps(document), charges.METADATA)
        if "_etag" in document:
            reply.headers["etag"] = document["_etag"]
        return reply

    @classmethod
    def listing(cls, name: str, documents: list[dict[str, Any]], *, rid: str = "") -> Self:
        """Answer with a feed of small documents."""
        body = {"_rid": rid, name: documents, "_count": len(documents)}
        return cls(200, orjson.dumps(body), charges.METADATA)


def feed_body(rid: str, bodies: Sequence[bytes]) -> bytes:
    """Return the body of a feed of items that are JSON already."""
    return b'{"_rid":"%s","Documents":[%s],"_count":%d}' % (rid.encode(), b",".join(bodies), len(bodies))
