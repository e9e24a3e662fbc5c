"""Start an orchestration of which one at a time is at work."""

from __future__ import annotations

from typing import Any

import azure.durable_functions as df

_AT_WORK = (
    df.OrchestrationRuntimeStatus.Running,
    df.OrchestrationRuntimeStatus.Pending,
    df.OrchestrationRuntimeStatus.ContinuedAsNew,
    df.OrchestrationRuntimeStatus.Suspended,
)


async def start_once(
    client: df.DurableOrchestrationClient, orchestrator: str, instance: str, order: Any = None
) -> None:
    """Start an orchestration under an id, unless the one of this id is at work.

    Of callers at the same time one starts it. The platform refuses the others, with an exception of no type
    of its own.

    Raises
    ------
    Exception
        The platform refused, and nothing of this id is at work.
    """
    if await _is_at_work(client, instance):
        return
    try:
        await client.start_new(orchestrator, instance, order)
    except Exception:
        if not await _is_at_work(client, instance):
            raise


async def _is_at_work(client: df.DurableOrchestrationClient, instance: str) -> bool:
    known = await client.get_status(instance)
    return known is not None and known.runtime_status in _AT_WORK
