"""Write items: create, upsert, replace, patch, delete, with the service's checks and preconditions."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import orjson

from local.cosmos import charges
from local.cosmos.errors import bad_request, conflict, not_found, precondition_failed, too_large
from local.cosmos.indexing import SYSTEM_PROPERTIES
from local.cosmos.model import Container, Item, resource_id
from local.cosmos.numbers import as_doubles, may_have_long_integers
from local.cosmos.partitioning import effective_key, extract, require_same
from local.cosmos.storage import Storage
from local.cosmos.writing import expiry

MAX_ITEM_BYTES = 2 * 1024 * 1024
MAX_ID_BYTES = 1_023
MAX_TTL = 2**31 - 1
MAX_NESTING = 128
"""Levels of objects and arrays inside an item."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Preconditions of a request."""

    if_match: str | None = None
    if_none_match: str | None = None

    def check_write(self, current: Item | None) -> None:
        """Refuse a write that may not be done to what is stored.

        Raises
        ------
        ServiceError
            412.
        """
        if self.if_match not in (None, "*") and (current is None or current.etag != self.if_match):
            raise precondition_failed()
        if (
            self.if_none_match is not None
            and current is not None
            and self.if_none_match in ("*", current.etag)
        ):
            raise precondition_failed()


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a write."""

    status: int
    charge: float
    item: Item | None


class Items:
    """Writes to the items of containers. Each call belongs into a transaction of the storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def create(
        self, container: Container, document: dict[str, Any], key: tuple[object, ...] | None, when: Conditions
    ) -> Written:
        """Store a new item."""
        epk, item_id = self._place(container, document, key)
        if self._storage.read.get(container, epk, item_id) is not None:
            raise conflict("Entity with the specified id already exists in the system.")
        when.check_write(None)
        return self._store(container, document, epk, item_id, None, 201)

    def upsert(
        self, container: Container, document: dict[str, Any], key: tuple[object, ...] | None, when: Conditions
    ) -> Written:
        """Store an item, new or not."""
        epk, item_id = self._place(container, document, key)
        current = self._storage.read.get(container, epk, item_id)
        if current is not None:
            when.check_write(current)
        return self._store(container, document, epk, item_id, current, 201 if current is None else 200)

    def replace(
        self,
        container: Container,
        item_id: str,
        document: dict[str, Any],
        key: tuple[object, ...] | None,
        when: Conditions,
    ) -> Written:
        """Overwrite an item that exists. Its partition key cannot change; its id can, to one that is free."""
        epk, new_id = self._place(container, document, key)
        current = self._storage.read.get(container, epk, item_id)
        if current is None:
            raise not_found("Entity with the specified id does not exist in the system.")
        when.check_write(current)
        if new_id != item_id and self._storage.read.get(container, epk, new_id) is not None:
            raise conflict("Entity with the specified id already exists in the system.")
        return self._store(container, document, epk, new_id, current, 200)

    def change(
        self, container: Container, current: Item, document: dict[str, Any], key: tuple[object, ...]
    ) -> Written:
        """Store what a patch made of an item."""
        epk, new_id = self._place(container, document, key)
        if new_id != current.id or epk != current.epk:
            raise bad_request("A patch may not change the id or the partition key.")
        return self._store(container, document, epk, new_id, current, 200)

    def require(self, container: Container, item_id: str, key: tuple[object, ...]) -> Item:
        """Return an item that must exist."""
        epk = effective_key(key, hierarchical=container.hierarchical)
        current = self._storage.read.get(container, epk, item_id)
        if current is None:
            raise not_found("Entity with the specified id does not exist in the system.")
        return current

    def delete(
        self, container: Container, item_id: str, key: tuple[object, ...], when: Conditions
    ) -> Written:
        """Remove an item."""
        current = self.require(container, item_id, key)
        when.check_write(current)
        self._storage.stamp(container, current.epk)
        self._storage.write.delete(container, current)
        document = current.document()
        terms = container.index.count(document, container.index.terms(document))
        return Written(204, charges.delete(len(current.body), terms), None)

    def _place(
        self, container: Container, document: dict[str, Any], key: tuple[object, ...] | None
    ) -> tuple[str, str]:
        """Check id and partition key of a document; return its effective key and id."""
        item_id = document.get("id")
        if not isinstance(item_id, str) or not item_id:
            raise bad_request("The input content is invalid because the required property 'id' is missing.")
        if len(item_id.encode()) > MAX_ID_BYTES:
            raise bad_request(f"The id {item_id[:64]!r} is too long.")
        found = extract(document, container.key_paths)
        if key is not None:
            require_same(key, found)
        return effective_key(found, hierarchical=container.hierarchical), item_id

    def _store(
        self,
        container: Container,
        document: dict[str, Any],
        epk: str,
        item_id: str,
        current: Item | None,
        status: int,
    ) -> Written:
        own_ttl = _checked_ttl(document)
        stamp = self._storage.stamp(container, epk)
        etag = f'"{uuid.uuid4()}"'
        for name in SYSTEM_PROPERTIES:
            document.pop(name, None)
        rid = current.rid if current else self._new_rid(container)
        # At the end of the body, where Item.rid looks for it.
        document |= {
            "_rid": rid,
            "_self": f"{container.body['_self']}docs/{rid}/",
            "_etag": etag,
            "_attachments": "attachments/",
            "_ts": stamp.ts,
        }
        try:
            body = orjson.dumps(document)
            if may_have_long_integers(body):
                document = as_doubles(document)
                body = orjson.dumps(document)
        except (TypeError, ValueError) as error:
            raise bad_request(f"The document is not valid: {error}.") from None
        if len(body) > MAX_ITEM_BYTES:
            raise too_large(
                f"Request size is too large: the item has {len(body)} bytes, of at most {MAX_ITEM_BYTES}."
            )
        if body.count(b"{") + body.count(b"[") > MAX_NESTING:  # seldom: fewer cannot be nested too deeply
            _check_nesting(document)
        expires = expiry(container.default_ttl, own_ttl, stamp.ts)
        item = Item(0, epk, item_id, stamp.lsn, stamp.ts, expires, etag, body)
        terms = container.index.terms(document)
        if current is None:
            self._storage.write.insert(container, stamp.partition, item, document, terms)
        else:
            self._storage.write.update(container, current, item, document, terms)
        count = container.index.count(document, terms)
        return Written(status, charges.write(len(body), count, replaces=current is not None), item)

    def _new_rid(self, container: Container) -> str:
        return resource_id(*container.body["_numbers"], self._storage.next_rid(container))


def _check_nesting(document: dict[str, Any]) -> None:
    level: list[Any] = [document]
    for _ in range(MAX_NESTING + 1):
        inner = (value.values() if type(value) is dict else value for value in level)
        level = [part for parts in inner for part in parts if type(part) is dict or type(part) is list]
        if not level:
            return
    raise bad_request(f"The document is nested more than {MAX_NESTING} levels deep.")


def _checked_ttl(document: dict[str, Any]) -> int | None:
    if "ttl" not in document:
        return None
    ttl = document["ttl"]
    if isinstance(ttl, bool) or not isinstance(ttl, int) or ttl == 0 or ttl < -1 or ttl > MAX_TTL:
        raise bad_request(f"The ttl {ttl!r} must be -1 or a positive number of seconds, at most {MAX_TTL}.")
    return ttl
