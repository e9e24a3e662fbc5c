"""Requests to export or erase a person, in ``fleet_state``. What remains of one is its audit record.

A request has the person's id only while it runs. Its last write takes the id away, and leaves who asked for
it, when and why, and how much was found.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from azure.cosmos.aio import ContainerProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.containers import DAY
from shared.cosmos.control import ControlDocument, Scope
from shared.cosmos.queries import Query, run_query
from shared.errors import RequestNotFoundError
from shared.privacy.keyring import KeyRing
from shared.units import iso

ID_BYTES = 8
"""Random bytes of a request's id, which is in logs, addresses and inputs of orchestrations."""

AUDIT_TTL = 3 * 365 * DAY
"""Seconds for which the audit of a request is kept after its end: the usual time of limitation."""

REQUESTS = Query("requests", "SELECT * FROM c")
"""In the partition of the requests: those that run, and the audits of three years."""

RUNNING = Query("running_requests", "SELECT * FROM c WHERE NOT IS_DEFINED(c.ended_at)")


class Kind(StrEnum):
    """What is asked for."""

    ERASE = "erase"
    EXPORT = "export"


class Reason(StrEnum):
    """Classes of reasons. A free text could name the person."""

    PERSON = "person"
    """The person asked for it."""
    ACCOUNT_DELETED = "account_deleted"
    """The account was deleted, and the grace period is over."""
    AUTHORITY = "authority"
    """A court or an authority ordered it."""
    RESTORED = "restored"
    """A restore brought an erased person back."""
    OPERATION = "operation"
    """Tests, and corrections by operators."""


class Status(StrEnum):
    """How far a request is."""

    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    """It cannot go on until a person does what ``problem`` says. It is tried again."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request about one person."""

    id: str
    kind: Kind
    person: str
    """Keyed hash of the person's id."""
    reason: str
    by: str
    """Who asked for it: a name of an operator, or of a timer."""
    asked_at: str
    user_id: str | None = None
    """None after its end."""
    status: Status = Status.RUNNING
    step: int = 1
    """The step to do next."""
    tombstone_at: float | None = None
    """When the tombstone was written, in seconds since the epoch."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How much was found, by place."""
    problem: str | None = None
    ended_at: str | None = None
    target: str | None = None
    """Where the export is: the name of a blob."""

    @property
    def is_running(self) -> bool:
        """Whether it is not at its end."""
        return self.ended_at is None

    def counted(self, found: Mapping[str, int]) -> Request:
        """Return the request with what was found added."""
        counts = dict(self.counts)
        for name, number in found.items():
            if number:
                counts[name] = counts.get(name, 0) + number
        return replace(self, counts=counts)

    def public(self) -> dict[str, Any]:
        """Return what anybody who knows its id may see: everything but the person."""
        shown = asdict(self)
        del shown["user_id"], shown["tombstone_at"]
        return shown

    def encode(self) -> dict[str, Any]:
        """Return the stored form."""
        stored = {name: value for name, value in asdict(self).items() if value is not None}
        return stored if self.is_running else stored | {"ttl": AUDIT_TTL}

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> Self:
        """Read the stored form."""
        known = {name: stored[name] for name in cls.__slots__ if name in stored}
        known |= {"kind": Kind(stored["kind"]), "status": Status(stored["status"])}
        return cls(**known)


class Requests:
    """The stored requests.

    Every method raises ``CosmosHttpResponseError``, ``ServiceRequestError`` and ``ServiceResponseError`` if
    the service did not answer.
    """

    def __init__(self, container: ContainerProxy, ring: KeyRing, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._container = container
        self._ring = ring
        self._clock = clock

    async def begin(self, kind: Kind, user_id: str, *, reason: str, by: str) -> Request:
        """Return the running request of this kind about a person; store a new one if there is none.

        Two that begin at the same moment both run. Each of their steps may run twice.
        """
        names = {hashed.name for hashed in self._ring.candidates(user_id)}
        async for request in self.running():
            if request.kind is kind and request.person in names:
                return request
        request = self._new(kind, user_id, reason, by)
        await self._document(request.id).update(lambda _: request.encode())
        return request

    async def record(
        self, kind: Kind, user_id: str, *, reason: str, by: str, counts: Mapping[str, int]
    ) -> Request:
        """Store the audit of a request that was done at once."""
        request = self.ended(self._new(kind, user_id, reason, by).counted(counts))
        await self._document(request.id).update(lambda _: request.encode())
        return request

    def _new(self, kind: Kind, user_id: str, reason: str, by: str) -> Request:
        person, now = self._ring.hash(user_id).name, iso(self._clock.now())
        return Request(secrets.token_hex(ID_BYTES), kind, person, reason, by, now, user_id)

    async def get(self, request_id: str) -> Request:
        """Return a request.

        Raises
        ------
        RequestNotFoundError
            There is none with this id, or its audit has expired.
        """
        stored = await self._document(request_id).read()
        if stored is None:
            raise RequestNotFoundError(f"There is no request {request_id!r}, or its audit has expired.")
        return Request.decode(stored)

    async def running(self) -> AsyncIterator[Request]:
        """Yield the requests that are not at their end. Audits, of which there are many, are not read."""
        async for stored in run_query(self._container, RUNNING, {}, partition_key=Scope.PEOPLE):
            yield Request.decode(stored)

    async def all(self) -> AsyncIterator[Request]:
        """Yield all requests, those at their end too."""
        async for stored in run_query(self._container, REQUESTS, {}, partition_key=Scope.PEOPLE):
            yield Request.decode(stored)

    async def update(self, request_id: str, change: Callable[[Request], Request]) -> Request:
        """Change a stored request that runs; return it. One at its end stays as it is."""

        def apply(stored: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
            if stored is None:
                raise RequestNotFoundError(f"There is no request {request_id!r}, or its audit has expired.")
            known = Request.decode(stored)
            changed = change(known) if known.is_running else known
            return None if changed == known else changed.encode()

        return Request.decode(await self._document(request_id).update(apply))

    def ended(self, request: Request) -> Request:
        """Return a request at its end: without the person's id."""
        return replace(
            request, user_id=None, status=Status.DONE, problem=None, ended_at=iso(self._clock.now())
        )

    def _document(self, request_id: str) -> ControlDocument:
        return ControlDocument(self._container, Scope.PEOPLE, request_id)
