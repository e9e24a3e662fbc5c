"""When an orchestration of an id is at work, so that no other one can be started under it."""

from __future__ import annotations

import azure.durable_functions as df

AT_WORK = (
    df.OrchestrationRuntimeStatus.Running,
    df.OrchestrationRuntimeStatus.Pending,
    df.OrchestrationRuntimeStatus.ContinuedAsNew,
    df.OrchestrationRuntimeStatus.Suspended,
)
