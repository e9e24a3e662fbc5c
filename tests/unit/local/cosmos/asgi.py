"""Requests to the application without a network: signed, and as malformed as a test wants them."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import orjson

from local.cosmos.app import App
from local.cosmos.storage import Storage

SECRET = b"s" * 64
KEY = base64.b64encode(SECRET).decode()
PATH = {"dbs": "", "colls": "dbs/d", "docs": "dbs/d/colls/c"}


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


def signature(method: str, kind: str, link: str, date: str) -> str:
    text = f"{method.lower()}\n{kind}\n{link}\n{date.lower()}\n\n"
    signed = base64.b64encode(hmac.digest(SECRET, text.encode(), sha256)).decode()
    return quote(f"type=master&ver=1.0&sig={signed}")


class Client:
    """Talks to an application over ASGI."""

    def __init__(self, storage: Storage, partitions: int = 2) -> None:
        self.app = App(storage, key=KEY, partitions=partitions, endpoint=lambda: "http://localhost/")

    async def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        chunks: list[dict[str, Any]] | None = None,
        **headers: str,
    ) -> Answer | None:
        """Send a request as it is; None if there was no answer."""
        given = [
            (name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()
        ]
        incoming = chunks or [{"type": "http.request", "body": body, "more_body": False}]
        pending = iter(incoming)
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return next(pending)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "raw_path": path.encode("latin-1"),
            "path": path,
            "headers": given,
        }
        await self.app(scope, receive, send)
        if not sent:
            return None
        received = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], received, sent[1]["body"])

    async def call(
        self, method: str, kind: str, link: str, path: str, body: Any = b"", **headers: str
    ) -> Answer:
        """Send a signed request; a body that is no bytes goes as JSON."""
        date = formatdate(usegmt=True)
        signed = {"authorization": signature(method, kind, link, date), "x_ms_date": date, **headers}
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        answer = await self.send(method, path, content, **signed)
        assert answer is not None
        return answer

    async def items(self, method: str = "POST", body: Any = b"", *, item: str = "", **headers: str) -> Answer:
        """Send a request to the items of the container, with the partition key ``p``."""
        link = f"dbs/d/colls/c/docs/{item}" if item else "dbs/d/colls/c"
        path = f"/dbs/d/colls/c/docs/{item}" if item else "/dbs/d/colls/c/docs"
        with_key = {"x_ms_documentdb_partitionkey": '["p"]', **headers}
        return await self.call(method, "docs", link, path, body, **with_key)

    async def setup(self, **properties: Any) -> None:
        """Create the database and the container."""
        await self.call("POST", "dbs", "", "/dbs", {"id": "d"})
        container = {"id": "c", "partitionKey": {"paths": ["/pk"], "kind": "Hash"}, **properties}
        assert (await self.call("POST", "colls", "dbs/d", "/dbs/d/colls", container)).status == 201
