"""The durable functions of one host: its part of the task hub, from start to end."""

from __future__ import annotations

import hmac
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.durable_functions.models.utils import http_utils

from local.host.bindings import FunctionSpec
from local.host.durable.database import HubFile
from local.host.durable.dispatcher import Dispatcher
from local.host.durable.instances import Instances
from local.host.durable.management import WEBHOOK, Management
from local.host.durable.payloads import Reply, Request
from local.host.durable.settings import read_durable_settings
from local.host.durable.store import WorkStore
from local.host.durable_bindings import ActivityTrigger, ClientInput, OrchestrationTrigger
from local.host.errors import HostStartError
from local.host.invoke import Invoker
from local.host.lease_store import utc_now
from local.host.logs import log

FOLDER = "durable"
RPC = "/durabletask/"
"""Prefix of the requests of client bindings; a secret of the process follows."""


def uses_durable(functions: list[FunctionSpec]) -> bool:
    """Whether an app has orchestrations, activities or clients."""
    return any(
        spec.client is not None or isinstance(spec.trigger, OrchestrationTrigger | ActivityTrigger)
        for spec in functions
    )


@dataclass(frozen=True, slots=True)
class HubConfig:
    """Where a host's task hub lies, and how long its claims last."""

    data_dir: Path
    instance: str
    lease_seconds: float


class TaskHub:
    """Everything durable that a host runs and answers."""

    def __init__(
        self,
        functions: list[FunctionSpec],
        invoker: Invoker,
        host_json: Mapping[str, Any],
        settings: Mapping[str, str],
        config: HubConfig,
        code: str,
    ) -> None:
        """Open the hub's file. ``code`` is the key that opens its HTTP interface.

        Raises
        ------
        HostStartError
            A setting, a client or the file cannot be used.
        """
        read = read_durable_settings(host_json, settings)
        _check_clients(functions, read.hub)
        file = _open(config.data_dir / FOLDER, read.hub)
        version = read.default_version
        instances = Instances(file, clock=utc_now, default_version=version)
        work = WorkStore(
            file,
            owner=config.instance,
            lease_seconds=config.lease_seconds,
            clock=utc_now,
            default_version=version,
        )
        self.dispatcher = Dispatcher(
            file,
            work,
            instances,
            functions,
            invoker,
            lease_seconds=config.lease_seconds,
            max_orchestrations=read.max_orchestrations,
            max_activities=read.max_activities,
            retention=read.retention,
        )
        self._management = Management(
            instances,
            self.dispatcher.ask,
            hub=read.hub,
            is_orchestrator=lambda name: name.lower() in self.dispatcher.orchestrators,
            replace_running=read.replace_running,
            code=code,
            awake=self.dispatcher.awake,
        )
        self._code = code
        self._secret = secrets.token_urlsafe(24)
        self._origin = ""
        invoker.durable_client = self._client

    def serve_at(self, origin: str) -> None:
        """Say under which address this host answers, before the first invocation."""
        self._origin = origin

    def _client(self, binding: ClientInput) -> str:
        if not self._origin:
            raise RuntimeError("this host serves no HTTP, which durable clients need; give it a port")
        return self._management.client(self._origin, f"{self._origin}{RPC}{self._secret}/")

    def owns(self, path: str) -> bool:
        """Whether a request's path is one of the hub's."""
        lower = path.lower()
        return lower == WEBHOOK or lower.startswith((f"{WEBHOOK}/", RPC))

    async def answer(self, request: Request, *, is_admin: bool) -> Reply:
        """Answer a request to one of the hub's paths. ``request.path`` is the whole path."""
        first, *rest = request.path
        if first == RPC.strip("/"):
            given, *inner = rest or [""]
            if not hmac.compare_digest(given.encode(), self._secret.encode()):
                return Reply(404)
        else:
            inner = rest[2:]
            given = request.headers.get("x-functions-key") or request.query.get("code", "")
            if not is_admin and not hmac.compare_digest(given.encode(), self._code.encode()):
                log.warning("http_unauthorized", function="durable", level="system")
                return Reply(401)
        inside = Request(
            request.method, tuple(inner), request.query, request.headers, request.body, request.origin
        )
        return await self._management.answer(inside)

    async def close(self) -> None:
        """Close the hub's file, and the connections of the package's clients, which it never closes."""
        self.dispatcher.close()
        await http_utils._close_session()


def _check_clients(functions: list[FunctionSpec], hub: str) -> None:
    for spec in functions:
        if spec.client and spec.client.task_hub and spec.client.task_hub != hub:
            raise HostStartError(
                f"The durable client of function {spec.name} has the task_hub {spec.client.task_hub!r}, but "
                f"host.json names {hub!r}; this host has one hub."
            )


def _open(folder: Path, hub: str) -> HubFile:
    try:
        return HubFile(folder / f"{hub}.sqlite")
    except (OSError, sqlite3.Error) as error:
        raise HostStartError(f"The task hub's file in {folder} cannot be opened: {error}.") from error
