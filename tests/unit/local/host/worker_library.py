"""Microsoft's worker library (Python 3.13 and above) as the judge of the local host.

It indexes and invokes functions as on the platform, without a host: the host's messages are stand-ins here.
Its results for one app do not depend on those for another: each :class:`Worker` has its own registry.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from azure.functions.decorators.function_app import Function

needs_worker = pytest.mark.skipif(
    sys.version_info < (3, 13), reason="Microsoft's worker library needs Python 3.13"
)

Retry = tuple[int, int, Any]
"""Attempts before this one, the policy's limit, and the error of the attempt before."""


class BindingInfo(SimpleNamespace):
    """A binding, with the numbers that gRPC gives directions and types of data."""

    undefined, out, inout = 0, 1, 2


MESSAGES = SimpleNamespace(
    BindingInfo=BindingInfo, RpcRetryOptions=SimpleNamespace, RpcFunctionMetadata=SimpleNamespace
)
"""What the worker library tells the host of an app, as plain objects instead of gRPC messages."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of an invocation, as the worker tells it to the host."""

    ok: bool
    returned: Any
    error: str | None


class Worker:
    """The functions of an app in the worker library.

    Raises
    ------
    Exception
        The worker does not accept a function. The library raises errors of many types.
    """

    def __init__(self, functions: Iterable[Function]) -> None:
        from azure_functions_runtime import start_threadpool_executor
        from azure_functions_runtime.bindings.meta import load_binding_registry
        from azure_functions_runtime.functions import Registry
        from azure_functions_runtime.loader import process_indexed_function
        from azure_functions_runtime.utils.threadpool import get_threadpool_executor

        load_binding_registry()
        if get_threadpool_executor() is None:
            start_threadpool_executor()
        self._registry = Registry()
        metadata, _ = process_indexed_function(MESSAGES, self._registry, list(functions), "")
        self.metadata = {one.name: one for one in metadata}
        """By name, what the host gets to know of each function."""

    def directory(self, function: str) -> str:
        """Return the folder that the context of a function names."""
        return str(self._registry.get_function(self.metadata[function].function_id).directory)

    async def invoke(
        self, function: str, argument: tuple[str, Any], *, invocation_id: str, retry: Retry = (0, 0, None)
    ) -> Answer:
        """Invoke a function. The argument is the type and the value of the host's message."""
        from azure_functions_runtime import native_invocation
        from azure_functions_runtime.bindings.datumdef import Datum

        found = self._registry.get_function(self.metadata[function].function_id)
        (name,) = found.input_types
        kind, value = argument
        count, limit, error = retry
        with patch.object(native_invocation, "_functions", self._registry):
            ok, returned, _, text, _ = await native_invocation.invocation_request_native(
                invocation_id,
                found.function_id,
                [(name, Datum(value, kind))],
                {},
                retry_count=count,
                max_retry_count=limit,
                retry_exception=error,
            )
        return Answer(ok, returned, text)
