"""The ``context`` argument of an invocation, as the platform's Python worker supplies it."""

from __future__ import annotations

import threading
import traceback
from pathlib import Path
from typing import Any

import azure.functions as func
from azure.functions._abc import RetryContext, RpcException, TraceContext


class InvocationError(RpcException):
    """The error of the attempt before; empty for the first attempt, as the worker gives it."""

    def __init__(self, error: BaseException | None) -> None:
        self._error = error

    @property
    def source(self) -> str:
        """Where it came from; the worker leaves this empty."""
        return ""

    @property
    def stack_trace(self) -> str:
        """The traceback as text."""
        return "" if self._error is None else "".join(traceback.format_tb(self._error.__traceback__))

    @property
    def message(self) -> str:
        """The error's type and text."""
        return "" if self._error is None else f"{type(self._error).__name__}: {self._error}"


class InvocationRetry(RetryContext):
    """How many attempts came before this one."""

    def __init__(self, retry_count: int, max_retry_count: int, error: BaseException | None) -> None:
        self._retry_count = retry_count
        self._max_retry_count = max_retry_count
        self._error = error

    @property
    def retry_count(self) -> int:
        """0 for the first attempt."""
        return self._retry_count

    @property
    def max_retry_count(self) -> int:
        """The policy's limit, -1 for unlimited, 0 without a policy."""
        return self._max_retry_count

    @property
    def exception(self) -> InvocationError:
        """The error of the attempt before; its texts are empty for the first."""
        return InvocationError(self._error)


class InvocationTrace(TraceContext):
    """No distributed tracing on a laptop: everything is empty."""

    @property
    def trace_state(self) -> str:
        """Always empty."""
        return ""

    @property
    def trace_parent(self) -> str:
        """Always empty."""
        return ""

    @property
    def attributes(self) -> dict[str, str]:
        """Always empty."""
        return {}


class InvocationContext(func.Context):
    """One invocation's context."""

    def __init__(
        self, *, invocation_id: str, function_name: str, directory: Path, retry: RetryContext
    ) -> None:
        self._invocation_id = invocation_id
        self._function_name = function_name
        self._directory = directory
        self._retry = retry
        self._trace = InvocationTrace()
        self._local = threading.local()

    @property
    def invocation_id(self) -> str:
        """A new identifier for each attempt."""
        return self._invocation_id

    @property
    def thread_local_storage(self) -> Any:
        """Storage of the calling thread."""
        return self._local

    @property
    def function_name(self) -> str:
        """The name it is registered under."""
        return self._function_name

    @property
    def function_directory(self) -> str:
        """The folder of the app."""
        return str(self._directory)

    @property
    def trace_context(self) -> TraceContext:
        """Empty on a laptop."""
        return self._trace

    @property
    def retry_context(self) -> RetryContext:
        """Which attempt this is."""
        return self._retry
