"""The service as a client's transport sees it: healthy, but for the faults that a test plans."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import AsyncHttpResponse, AsyncHttpTransport, HttpRequest
from multidict import CIMultiDict

from shared.cosmos.transport import operation_of

ACCOUNT = "http://127.0.0.1:9/"
RID = "4PEnAA=="
CONTAINER_RID = "4PEnAPfmXwA="
LONGER_THAN_ANYBODY_WAITS = 100_000.0


@dataclass(frozen=True, slots=True)
class Planned:
    """What befalls one attempt."""

    kind: str
    """A status, ``status.sub-status``, ``inside`` (a batch, throttled inside), ``refused``, ``lost`` or
    ``silent``."""
    retry_after_ms: int | None = None
    body: bytes | None = None
    """What the answer has in place of an explanation."""


class Attempt(NamedTuple):
    """An attempt that arrived."""

    at: float
    url: str
    planned: Planned | None


class Answer(AsyncHttpResponse):
    """An answer with its body in memory."""

    def __init__(self, request: HttpRequest, status: int, body: Any, headers: Mapping[str, str]) -> None:
        super().__init__(request, None)
        self.status_code, self.reason, self.content_type = status, "", "application/json"
        self.headers = CIMultiDict({"x-ms-request-charge": "1", "etag": '"e"', **headers})
        self._body = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()

    def body(self) -> bytes:
        return self._body

    async def load_body(self) -> None:
        return None


class ScriptedService(AsyncHttpTransport[HttpRequest, AsyncHttpResponse]):
    """Answers every operation on a container ``c`` with the partition key ``/pk``.

    Parameters
    ----------
    plan
        What befalls the attempts at some operation, by its name: one entry is used up by each attempt.
    pages
        Pages of a query, each with one document.
    regions
        Endpoints of the account's regions by name, the one that takes writes first.
    """

    def __init__(
        self,
        plan: Mapping[str, list[Planned]] | None = None,
        *,
        pages: int = 1,
        regions: Mapping[str, str] = MappingProxyType({"East US": ACCOUNT}),
    ) -> None:
        self.regions = regions
        self.plan = {name: list(faults) for name, faults in (plan or {}).items()}
        self.always: Planned | None = None
        self.pages = pages
        self.attempts: dict[str, list[Attempt]] = defaultdict(list)

    async def open(self) -> None:
        return None

    async def close(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None

    async def send(self, request: HttpRequest, **_: Any) -> AsyncHttpResponse:
        name = operation_of(request).name
        faults = self.plan.get(name, [])
        planned = faults.pop(0) if faults else self.always
        now = asyncio.get_running_loop().time()
        self.attempts[name].append(Attempt(now, request.url, planned))
        if planned is None:
            return self._healthy(name, request)
        headers = (
            {} if planned.retry_after_ms is None else {"x-ms-retry-after-ms": str(planned.retry_after_ms)}
        )
        match planned.kind:
            case "silent":
                await asyncio.sleep(LONGER_THAN_ANYBODY_WAITS)
                raise AssertionError("nobody waited")
            case "refused":
                raise ServiceRequestError("cannot connect")
            case "lost":
                raise ServiceResponseError("reset by peer")
            case "inside":
                throttled = {"statusCode": 429, "retryAfterMilliseconds": planned.retry_after_ms or 0}
                return Answer(request, 207, [{"statusCode": 424}, throttled], {})
            case kind:
                status, _, sub_status = kind.partition(".")
                if sub_status:
                    headers["x-ms-substatus"] = sub_status
                body = {"message": "not now"} if planned.body is None else planned.body
                return Answer(request, int(status), body, headers)

    def _healthy(self, name: str, request: HttpRequest) -> Answer:
        answer: Callable[[HttpRequest], Answer] | None = getattr(self, f"_{name}", None)
        return answer(request) if answer else Answer(request, 200, {"id": "i", "pk": "p", "_etag": '"e"'}, {})

    def _get_account(self, request: HttpRequest) -> Answer:
        regions = [{"name": name, "databaseAccountEndpoint": at} for name, at in self.regions.items()]
        body = {"id": "a", "writableLocations": regions[:1], "readableLocations": regions}
        return Answer(
            request, 200, body | {"userConsistencyPolicy": {"defaultConsistencyLevel": "Session"}}, {}
        )

    def _get_colls(self, request: HttpRequest) -> Answer:
        key = {"paths": ["/pk"], "kind": "Hash", "version": 2}
        return Answer(request, 200, {"id": "c", "_rid": CONTAINER_RID, "partitionKey": key}, {})

    def _get_pkranges(self, request: HttpRequest) -> Answer:
        if request.headers.get("if-none-match"):
            return Answer(request, 304, None, {})
        one = {"id": "0", "minInclusive": "", "maxExclusive": "FF", "status": "online", "parents": []}
        return Answer(request, 200, {"_rid": CONTAINER_RID, "PartitionKeyRanges": [one], "_count": 1}, {})

    def _query(self, request: HttpRequest) -> Answer:
        page = int(request.headers.get("x-ms-continuation") or 0)
        headers = {"x-ms-continuation": str(page + 1)} if page + 1 < self.pages else {}
        return Answer(request, 200, {"_rid": RID, "Documents": [{"id": f"i{page}", "pk": "p"}]}, headers)

    def _change_feed(self, request: HttpRequest) -> Answer:
        page = int((request.headers.get("if-none-match") or "0").strip('"'))
        if page >= self.pages:
            return Answer(request, 304, None, {"etag": f'"{page}"'})
        body = {"_rid": RID, "Documents": [{"id": f"i{page}", "pk": "p"}]}
        return Answer(request, 200, body, {"etag": f'"{page + 1}"'})

    def _batch(self, request: HttpRequest) -> Answer:
        return Answer(request, 200, [{"statusCode": 201, "eTag": "e"}], {})

    def _delete(self, request: HttpRequest) -> Answer:
        return Answer(request, 204, None, {})
