"""The HTTP interface of orchestrations: start, ask, signal, end, purge. The client binding speaks it as well.

Paths, statuses and payloads are those of the extension (``HttpApiHandler``).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar
from urllib.parse import quote

from local.host.durable.history import Event, EventType, event
from local.host.durable.instances import InstanceExistsError, Instances
from local.host.durable.payloads import (
    BadRequestError,
    Reply,
    Request,
    bad_request,
    check_id,
    describe_event,
    describe_state,
    filter_of,
    flag,
    json_text,
    json_value,
    seconds,
    unsupported,
)
from local.host.durable.work import ENDED
from local.host.lease_store import utc_now

T = TypeVar("T")

WEBHOOK = "/runtime/webhooks/durabletask"
CONTROLS: Mapping[str, EventType] = {
    "terminate": EventType.EXECUTION_TERMINATED,
    "suspend": EventType.EXECUTION_SUSPENDED,
    "resume": EventType.EXECUTION_RESUMED,
}
POLL_SECONDS = 0.1
MAX_PAGE = 1_000_000
"""Instances of one answer to a list, whatever it asks for."""


class Ask(Protocol):
    """Runs a call of the store outside the event loop."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """Return what the call returns."""


class Management:
    """Answers the requests about one task hub."""

    def __init__(
        self,
        instances: Instances,
        ask: Ask,
        *,
        hub: str,
        is_orchestrator: Callable[[str], bool],
        replace_running: bool,
        code: str,
        awake: Callable[[], None],
    ) -> None:
        self._instances = instances
        self._ask = ask
        self._hub = hub
        self._is_orchestrator = is_orchestrator
        self._replace_running = replace_running
        self._code = code
        self._awake = awake

    async def answer(self, request: Request) -> Reply:
        """Answer one request, whose sender may do all this."""
        hub = request.query.get("taskHub")
        if hub and hub != self._hub:
            return bad_request(f"This host has the task hub {self._hub}, and no {hub}.")
        try:
            reply = await self._answer(request)
        except BadRequestError as error:
            return bad_request(str(error))
        except InstanceExistsError as error:
            return Reply(409, {"Message": str(error), "ExceptionMessage": str(error)})
        if request.method != "GET":
            self._awake()
        return reply

    async def _answer(self, request: Request) -> Reply:
        match (request.method, *request.path):
            case ("POST", "orchestrators", name):
                return await self._start(request, name, None)
            case ("POST", "orchestrators", name, instance_id):
                return await self._start(request, name, instance_id)
            case ("GET", "instances"):
                return await self._list(request)
            case ("DELETE", "instances"):
                return await self._purge_by(request)
            case ("GET", "instances", instance_id):
                return await self._status(request, instance_id)
            case ("DELETE", "instances", instance_id):
                return await self._purge(instance_id)
            case ("POST", "instances", instance_id, operation) if operation.lower() in CONTROLS:
                return await self._control(request, instance_id, CONTROLS[operation.lower()])
            case ("POST", "instances", instance_id, operation) if operation.lower() == "restart":
                return await self._restart(request, instance_id)
            case ("POST", "instances", instance_id, "raiseEvent" | "raiseevent", name):
                return await self._raise_event(request, instance_id, name)
            case ("POST", "instances", _, operation) if operation.lower() == "rewind":
                return unsupported("rewind")
            case (_, "entities", *_):
                return unsupported("an entity")
        return Reply(404)

    async def _start(self, request: Request, name: str, instance_id: str | None) -> Reply:
        if not self._is_orchestrator(name):
            raise BadRequestError(
                f"The function '{name}' doesn't exist, is disabled, or is not an orchestrator function."
            )
        if instance_id is not None:
            check_id(instance_id)
        text = json_text(request.body)
        made = await self._ask(
            lambda: self._instances.start(
                name,
                text,
                instance_id=instance_id,
                version=request.query.get("version"),
                replace_running=self._replace_running,
            )
        )
        return await self._started(request, made)

    async def _started(self, request: Request, instance_id: str) -> Reply:
        """Answer with the addresses of an instance, after waiting for its end if the request says so."""
        self._awake()
        timeout = seconds(request.query.get("timeout"))
        if timeout is not None and seconds(request.query.get("pollingInterval")) is not None:
            end = asyncio.get_running_loop().time() + timeout
            while asyncio.get_running_loop().time() < end:
                state = await self._ask(lambda: self._instances.state(instance_id))
                if state is not None and state.status == "Completed":
                    return Reply(200, json_value(state.output))
                if state is not None and state.status in ENDED:
                    return Reply(200, describe_state(state, with_input=True))
                await asyncio.sleep(POLL_SECONDS)
        links = self.links(request.origin, instance_id)
        return Reply(202, links, {"location": links["statusQueryGetUri"], "retry-after": "10"})

    async def _status(self, request: Request, instance_id: str) -> Reply:
        state = await self._ask(lambda: self._instances.state(instance_id))
        if state is None:
            return Reply(404)
        body = describe_state(state, with_input=flag(request, "showInput", True))
        if flag(request, "showHistory", False):
            history = await self._ask(lambda: self._instances.history(instance_id))
            output = flag(request, "showHistoryOutput", False)
            body["historyEvents"] = [describe_event(one, with_output=output) for one in history]
        if state.status not in ENDED:
            location = self.links(request.origin, instance_id)["statusQueryGetUri"]
            return Reply(202, body, {"location": location, "retry-after": "5"})
        broken = state.status == "Failed" and flag(request, "returnInternalServerErrorOnFailure", False)
        return Reply(500 if broken else 200, body)

    async def _list(self, request: Request) -> Reply:
        wanted = filter_of(request)
        top = request.query.get("top", "")
        limit = min(int(top), MAX_PAGE) if top.isdecimal() and int(top) > 0 else None
        after = request.headers.get("x-ms-continuation-token", "")
        found = await self._ask(
            lambda: self._instances.query(wanted, after=after, limit=None if limit is None else limit + 1)
        )
        more = limit is not None and len(found) > limit
        page = found[:limit]
        with_input = flag(request, "showInput", True)
        headers = {"x-ms-continuation-token": page[-1].instance_id if more else ""}
        return Reply(200, [describe_state(state, with_input=with_input) for state in page], headers)

    async def _purge(self, instance_id: str) -> Reply:
        status = await self._ask(lambda: self._instances.purge(instance_id))
        if status is None:
            return Reply(404)
        if status not in ENDED:
            message = f"The orchestration {instance_id} has not ended; terminate it first."
            return Reply(409, {"Message": message})
        return Reply(200, {"instancesDeleted": 1})

    async def _purge_by(self, request: Request) -> Reply:
        wanted = filter_of(request)
        if wanted.created_from is None:
            raise BadRequestError("Please provide value for 'createdTimeFrom' parameter.")
        deleted = await self._ask(lambda: self._instances.purge_by(wanted))
        return Reply(200, {"instancesDeleted": deleted}) if deleted else Reply(404)

    async def _control(self, request: Request, instance_id: str, kind: EventType) -> Reply:
        message = event(kind, utc_now(), Input=request.query.get("reason", ""))
        return await self._send(instance_id, message)

    async def _raise_event(self, request: Request, instance_id: str, name: str) -> Reply:
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise BadRequestError("Only application/json request content is supported")
        text = json_text(request.body)
        message = event(EventType.EVENT_RAISED, utc_now(), Name=name, Input=text)
        return await self._send(instance_id, message)

    async def _send(self, instance_id: str, message: Event) -> Reply:
        status = await self._ask(lambda: self._instances.send(instance_id, message))
        if status is None:
            return Reply(404)
        return Reply(410 if status in ENDED else 202)

    async def _restart(self, request: Request, instance_id: str) -> Reply:
        state = await self._ask(lambda: self._instances.state(instance_id))
        if state is None:
            return Reply(404)
        fresh = flag(request, "restartWithNewInstanceId", True)
        made = await self._ask(
            lambda: self._instances.start(
                state.name, state.input, instance_id=None if fresh else instance_id, version=state.version
            )
        )
        return await self._started(request, made)

    def links(self, origin: str, instance_id: str) -> dict[str, str]:
        """Return the addresses at which an instance can be managed; they contain the key."""
        base = f"{origin}{WEBHOOK}/instances/{quote(instance_id, safe='')}"
        query = f"taskHub={quote(self._hub)}&connection=Storage&code={quote(self._code)}"
        links = {"id": instance_id}
        links["statusQueryGetUri"] = links["purgeHistoryDeleteUri"] = f"{base}?{query}"
        links["sendEventPostUri"] = f"{base}/raiseEvent/{{eventName}}?{query}"
        links["restartPostUri"] = f"{base}/restart?{query}"
        for operation in ("terminate", "rewind", "suspend", "resume"):
            links[f"{operation}PostUri"] = f"{base}/{operation}?reason={{text}}&{query}"
        return links

    def client(self, origin: str, rpc_base_url: str) -> str:
        """Return the value of a durable client binding."""
        orchestrators = f"{origin}{WEBHOOK}/orchestrators/{{functionName}}[/{{instanceId}}]"
        creation = f"{orchestrators}?code={quote(self._code)}"
        return json.dumps(
            {
                "taskHubName": self._hub,
                "creationUrls": {
                    "createNewInstancePostUri": creation,
                    "createAndWaitOnNewInstancePostUri": (
                        f"{creation}&timeout={{timeoutInSeconds}}&pollingInterval={{intervalInSeconds}}"
                    ),
                },
                "managementUrls": self.links(origin, "INSTANCEID"),
                "baseUrl": f"{origin}{WEBHOOK}",
                "requiredQueryStringParameters": f"code={quote(self._code)}",
                "rpcBaseUrl": rpc_base_url,
            }
        )
