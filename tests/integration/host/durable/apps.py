"""Function apps with orchestrations, written into a folder and asked over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import aiohttp

from local.host.durable.work import ENDED
from local.host.runner import Host, HostConfig

HEAD = """
import azure.durable_functions as df
import azure.functions as func
from datetime import timedelta

bp = df.Blueprint()

@bp.route(route="start/{name}", methods=["POST"], auth_level="anonymous")
@bp.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    given = json.loads(req.get_body().decode() or "null")
    made = await client.start_new(req.route_params["name"], req.params.get("id"), given)
    return client.create_check_status_response(req, made)
"""
TAIL = """
app = func.FunctionApp()
app.register_functions(bp)
"""


def write_durable_app(folder: Path, code: str, host_json: Mapping[str, Any] | None = None) -> Path:
    """Write an app with an HTTP function ``start`` and the orchestrations of ``code``; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "function_app.py").write_text("import json\n" + HEAD + dedent(code) + TAIL)
    (folder / "host.json").write_text(json.dumps({"version": "2.0", **(host_json or {})}))
    return folder


class Hub:
    """A host that serves, as somebody outside sees it."""

    def __init__(self, web: aiohttp.ClientSession, port: int) -> None:
        self.web = web
        self.base = f"http://127.0.0.1:{port}"

    def moved(self, links: Mapping[str, str]) -> dict[str, str]:
        """Return addresses that another host of the stack gave, at this one."""
        return {name: re.sub(r"^http://[^/]+", self.base, address) for name, address in links.items()}

    async def start(self, name: str, input_: Any = None, **query: str) -> dict[str, str]:
        """Start an orchestration; return its addresses."""
        url = f"{self.base}/api/start/{name}"
        async with self.web.post(url, json=input_, params=query) as answer:
            assert answer.status == 202, await answer.text()
            links: dict[str, str] = await answer.json()
            return links

    async def status(self, links: Mapping[str, str], **query: str) -> dict[str, Any]:
        """Ask for the state of an orchestration."""
        async with self.web.get(links["statusQueryGetUri"], params=query) as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def until(self, links: Mapping[str, str], *statuses: str, seconds: float = 20) -> dict[str, Any]:
        """Wait for one of the statuses and return the state."""
        async with asyncio.timeout(seconds):
            while (state := await self.status(links))["runtimeStatus"] not in statuses:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return state

    async def ended(self, links: Mapping[str, str], seconds: float = 20) -> dict[str, Any]:
        """Wait for the end of an orchestration and return its state."""
        return await self.until(links, *ENDED, seconds=seconds)

    async def run(self, name: str, input_: Any = None) -> Any:
        """Run an orchestration that must succeed; return its output."""
        state = await self.ended(await self.start(name, input_))
        assert state["runtimeStatus"] == "Completed", state
        return state["output"]

    async def post(self, links: Mapping[str, str], link: str, body: Any = None, **parts: str) -> int:
        """Post to one of the addresses; return the status."""
        url = links[link]
        for name, value in parts.items():
            url = url.replace(f"{{{name}}}", value)
        async with self.web.post(url, json=body) as answer:
            return answer.status


@asynccontextmanager
async def hosting_hub(folder: Path, instance: str = "one", **options: Any) -> AsyncIterator[Hub]:
    """Run a host in this process for the length of a block."""
    host = Host(HostConfig(folder, instance, http_port=0, data_dir=folder / "data", **options))
    await host.start()
    try:
        assert host.http_port is not None
        async with aiohttp.ClientSession() as web:
            yield Hub(web, host.http_port)
    finally:
        await host.stop()
