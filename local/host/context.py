"""The ``context`` argument of an invocation, as the platform's Python worker supplies it.

Its classes are like the worker's: they have the attributes of ``azure.functions.Context`` and do not inherit
from it. A test compares them with the worker's library.
"""

from __future__ import annotations

import secrets
import threading
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

_local = threading.local()
"""Storage of the threads; ``invocation_id`` in it is that of the invocation that the thread works on."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a log line says of the invocation that it comes from."""

    function: str
    invocation_id: str


current_invocation: ContextVar[Invocation | None] = ContextVar("current_invocation", default=None)
"""The invocation that this task or thread belongs to; None in the host's own."""


@dataclass(frozen=True, slots=True)
class RpcException:
    """The error of the attempt before; its texts are empty for the first attempt."""

    source: str = ""
    stack_trace: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class RetryContext:
    """How many attempts came before this one."""

    retry_count: int = 0
    """0 for the first attempt."""
    max_retry_count: int = 0
    """The policy's limit, -1 for unlimited, 0 without a policy."""
    rpc_exception: RpcException = field(default_factory=RpcException)
    """The error of the attempt before."""


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A W3C trace that nothing records, new for each invocation."""

    trace_parent: str
    trace_state: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def Traceparent(self) -> str:  # noqa: N802  the worker's name
        """The same as ``trace_parent``, by its former name."""
        return self.trace_parent

    @property
    def Tracestate(self) -> str:  # noqa: N802  the worker's name
        """The same as ``trace_state``, by its former name."""
        return self.trace_state

    @property
    def Attributes(self) -> Mapping[str, str]:  # noqa: N802  the worker's name
        """The same as ``attributes``, by its former name."""
        return self.attributes


def _new_trace() -> TraceContext:
    return TraceContext(f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00")


def rpc_exception(error: BaseException | None) -> RpcException:
    """Return what the host tells of the error of the attempt before, None for the first attempt."""
    if error is None:
        return RpcException()
    trace = "".join(traceback.format_tb(error.__traceback__))
    return RpcException("", trace, f"{type(error).__name__}: {error}")


@dataclass(frozen=True, slots=True)
class Context:
    """One invocation's context."""

    invocation_id: str
    """A new identifier for each attempt."""
    function_name: str
    """The name it is registered under."""
    function_directory: str
    """The folder of the file that the function is written in."""
    retry_context: RetryContext
    trace_context: TraceContext = field(default_factory=_new_trace)

    @property
    def thread_local_storage(self) -> threading.local:
        """Storage of the calling thread, with its ``invocation_id``."""
        return _local


def enter_thread(invocation_id: str | None) -> None:
    """Note in the calling thread which invocation it works on."""
    _local.invocation_id = invocation_id
