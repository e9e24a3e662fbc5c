"""The functions of a blueprint as the platform gets them, and a fleet that records how it is called."""

from __future__ import annotations

from typing import Any

import azure.functions as func
from azure.functions.decorators.function_app import Function


def functions_of(blueprint: func.Blueprint) -> dict[str, Function]:
    """Return the functions of a blueprint by name."""
    app = func.FunctionApp()
    app.register_functions(blueprint)
    return {function.get_function_name(): function for function in app.get_functions()}


def trigger_of(function: Function) -> dict[str, Any]:
    """Return the settings of a function's trigger."""
    settings: dict[str, Any] = function.get_trigger().get_dict_repr()
    return settings


def invoke(function: Function, value: Any) -> Any:
    """Call a function as the platform does: the argument has the name of the trigger's binding."""
    return function.get_user_function()(**{function.get_trigger().name: value})


class RecordedFleet:
    """Stands for a fleet, a part of one, or a method: records each call with the path to the method."""

    def __init__(self, path: str = "", calls: list[tuple[Any, ...]] | None = None) -> None:
        self.calls: list[tuple[Any, ...]] = [] if calls is None else calls
        self._path = path

    def __getattr__(self, name: str) -> RecordedFleet:
        return RecordedFleet(f"{self._path}.{name}".lstrip("."), self.calls)

    async def __call__(self, *arguments: Any, **options: Any) -> None:
        self.calls.append((self._path, *arguments, *([options] if options else [])))

    async def connect(self) -> RecordedFleet:
        """Take the place of ``functions.runtime.fleet``."""
        return self
