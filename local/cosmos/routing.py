"""What a request names: the resource in its path, the operation on it, and the client that asks."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from local.cosmos.errors import not_found, unsupported
from local.cosmos.wire import Request

_PATHS = re.compile(
    r"(dbs(/[^/]+(/colls(/[^/]+(/(docs|pkranges|conflicts)(/[^/]+)?)?)?)?)?|offers(/[^/]+)?)?"
)
_UNSUPPORTED = {
    "sprocs": "Stored procedures",
    "triggers": "Triggers",
    "udfs": "User-defined functions",
    "users": "Database users",
    "permissions": "Permissions",
    "clientencryptionkeys": "Client encryption keys",
}
_PARTITION_KEY = "partitionkey"
_PARTITION_DELETE = "/operations/partitionkeydelete"
_DATABASE_RID = re.compile(r"[A-Za-z0-9+-]{6}==")
_CLIENT = re.compile(r"azsdk-\S+ Python/\S+ \([^)]*\)\s*(.*)")


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names."""

    segments: tuple[str, ...]
    resource_type: str
    """The type of the resource: the last or last but one segment."""

    @property
    def by_rid(self) -> bool:
        """Whether the segments are resource ids, as in an item's ``_self``, rather than names."""
        return len(self.segments) > 1 and bool(_DATABASE_RID.fullmatch(self.segments[1]))

    @property
    def signed_type(self) -> str:
        """The type that is signed: of a request to delete a logical partition that of its container."""
        return "colls" if self.resource_type == _PARTITION_KEY else self.resource_type

    @property
    def link(self) -> str:
        """The link that is signed: the resource, or the parent of a feed; a resource id stands alone."""
        if self.resource_type == "offers":
            return self.segments[-1].lower() if len(self.segments) == 2 else ""
        kept = self.segments[:-1] if len(self.segments) % 2 else self.segments
        return kept[-1].lower() if self.by_rid else "/".join(kept)

    @property
    def container(self) -> str:
        """The container's name, for the account of charges."""
        return self.segments[3] if len(self.segments) > 3 and self.segments[2] == "colls" else ""


def parse_target(path: str) -> Target:
    """Return what a path names.

    Raises
    ------
    ServiceError
        404: nothing; or 400: something that the local server does not support.
    """
    path = path.strip("/")
    if path.endswith(_PARTITION_DELETE):
        return replace(parse_target(path.removesuffix(_PARTITION_DELETE)), resource_type=_PARTITION_KEY)
    segments = tuple(path.split("/")) if path else ()
    kind = segments[-1 if len(segments) % 2 else -2] if segments else ""
    if kind in _UNSUPPORTED:
        raise unsupported(_UNSUPPORTED[kind])
    if not _PATHS.fullmatch(path):
        raise not_found(f"The path {path!r} names no resource.")
    return Target(segments, kind)


def operation_name(target: Target, request: Request) -> str:
    """Name the operation, for faults and the account of charges."""
    kind = target.resource_type
    if kind != "docs":
        return f"{request.method.lower()}_{kind or 'account'}"
    if request.is_batch:
        return "batch"
    if request.is_query_plan:
        return "query_plan"
    if request.is_query:
        return "query"
    if request.method == "GET" and len(target.segments) == 5:
        return "change_feed" if request.header("a-im") else "read_feed"
    if request.method == "POST":
        return "upsert" if request.is_upsert else "create"
    return {"GET": "read", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}.get(
        request.method, "other"
    )


@lru_cache(maxsize=256)
def client_name(user_agent: str) -> str:
    """Return the ``user_agent_suffix`` of an SDK's client."""
    match = _CLIENT.fullmatch(user_agent)
    suffix = (match.group(1) if match else "") or ""
    return suffix.strip()[:64] or "unknown"
