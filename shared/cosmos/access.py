"""Whether the containers of the catalogue exist, and whether this identity may read and write them."""

from __future__ import annotations

from azure.cosmos.aio import ContainerProxy, DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceNotFoundError

from shared.concurrency import for_each
from shared.containers import CATALOGUE, Container
from shared.cosmos.change_feed import physical_ranges, read_page
from shared.cosmos.items import ITEM, is_absent
from shared.cosmos.queries import run_query
from shared.errors import NotReadyError
from shared.rights import PROBES, Action

PROBE = "vimarsh-readiness-probe"
"""Id and partition of a document that no container has."""

PROBED = tuple(container for container in CATALOGUE if container.name in PROBES)

MAX_CONCURRENT_PROBES = 8

NOT_ALLOWED = (401, 403)
"""The service's answers to a wrong key, and to an identity without the right."""

BAD_REQUEST, NOT_FOUND = 400, 404


async def check_access(database: DatabaseProxy) -> None:
    """Ask every container for a document that does not exist, with the most that the fleet does in it.

    Nothing is changed: where the fleet deletes, the container is asked to delete that document.

    Raises
    ------
    NotReadyError
        Containers are missing, or the identity lacks a right. The message names them and the remedy.
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service did not answer.
    """
    answers = await for_each(
        PROBED, lambda container: _status(database, container), max_concurrency=MAX_CONCURRENT_PROBES
    )
    by_name = dict(zip((container.name for container in PROBED), answers, strict=True))
    refused = [name for name, status in by_name.items() if status in NOT_ALLOWED]
    missing = [name for name, status in by_name.items() if status == NOT_FOUND]
    if refused:
        raise NotReadyError(not_allowed(refused))
    if missing:
        raise NotReadyError(not_found(missing))


def reason_of(error: CosmosHttpResponseError) -> str | None:
    """Return what to do about an error of the first requests, None if it is to pass by itself."""
    if error.status_code in NOT_ALLOWED:
        return not_allowed([])
    return not_found([]) if error.status_code == NOT_FOUND else None


def not_allowed(names: list[str]) -> str:
    """Return the sentence about containers that refuse the identity; about the account if none is named."""
    where = f" in {', '.join(names)}" if names else ""
    return (
        f"The key or identity of the settings may not do the fleet's work{where}: set the read-write key, or "
        "give the identity the rights of infra/roles.json, see docs/how-to/deploy.md."
    )


def not_found(names: list[str]) -> str:
    """Return the sentence about containers that do not exist."""
    which = (
        f"containers are missing: {', '.join(names)}" if names else "the database or containers are missing"
    )
    return f"In the database of COSMOS_DATABASE, {which}. Create them with `fleet containers apply`."


async def _status(database: DatabaseProxy, container: Container) -> int | None:
    """Return the status by which a container refuses; None if it does as asked."""
    client = database.get_container_client(container.name)
    try:
        # A client that does not know the container yet answers for the container as for a document.
        if not await _exists(client):
            return NOT_FOUND
        await _ask(client, container, PROBES[container.name])
    except CosmosResourceNotFoundError as error:
        return None if is_absent(error) else NOT_FOUND
    except CosmosHttpResponseError as error:
        if error.status_code not in NOT_ALLOWED:
            raise
        return error.status_code
    return None


async def allowed_actions(database: DatabaseProxy, container: Container) -> frozenset[Action]:
    """Return what the caller may do with the items of a container. Every action is tried; nothing is changed.

    Documents that do not exist are read, replaced and deleted. A document without an id is written, which the
    service refuses: that it looks at the caller's rights before is an assumption.

    Raises
    ------
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service did not answer, or the container does not exist.
    """
    client = database.get_container_client(container.name)
    answers = [await _is_allowed(client, container, action) for action in Action]
    return frozenset(action for action, answer in zip(Action, answers, strict=True) if answer)


async def _is_allowed(client: ContainerProxy, container: Container, action: Action) -> bool:
    try:
        await _ask(client, container, action)
    except CosmosHttpResponseError as error:
        if error.status_code in NOT_ALLOWED:
            return False
        if error.status_code not in (BAD_REQUEST, NOT_FOUND):
            raise
        if isinstance(error, CosmosResourceNotFoundError) and not is_absent(error):
            raise
    return True


async def _ask(client: ContainerProxy, container: Container, action: Action) -> None:
    """Do something to a document that does not exist, or write one that is refused."""
    key = container.partition_key.removeprefix("/")
    document = {key: PROBE} if key != "id" else {}
    match action:
        case Action.DELETE:
            await client.delete_item(PROBE, PROBE)
        case Action.REPLACE:
            await client.replace_item(PROBE, {"id": PROBE, key: PROBE})
        case Action.READ:
            await client.read_item(PROBE, PROBE)
        case Action.CREATE:
            await client.create_item(document)
        case Action.UPSERT:
            await client.upsert_item(document)
        case Action.QUERY:
            async for _ in run_query(client, ITEM, {"id": PROBE}, partition_key=PROBE):
                return
        case Action.FEED:
            rid = (await client.read())["_rid"]
            first, *_ = await physical_ranges(client)
            await read_page(client, rid, first, None, limit=1)


async def _exists(container: ContainerProxy) -> bool:
    try:
        await container.read()
    except CosmosResourceNotFoundError:
        return False
    return True
