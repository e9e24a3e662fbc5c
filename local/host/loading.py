"""Load ``function_app.py`` as the platform's Python worker does, and read its functions."""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from azure.functions.decorators.function_app import Function, FunctionRegister

from local.host.bindings import (
    FunctionSpec,
    Trigger,
    parse_cosmos_trigger,
    parse_http_trigger,
    parse_timer_trigger,
)
from local.host.durable_bindings import (
    ClientInput,
    parse_activity_trigger,
    parse_client_input,
    parse_orchestration_trigger,
)
from local.host.errors import HostStartError
from local.host.retry import parse_retry_policy
from local.host.worker_rules import check_functions
from shared.errors import SettingsError

SCRIPT = "function_app.py"
PARSERS: Mapping[str, Callable[[str, Mapping[str, Any], Mapping[str, str]], Trigger]] = {
    "cosmosDBTrigger": parse_cosmos_trigger,
    "timerTrigger": parse_timer_trigger,
    "httpTrigger": parse_http_trigger,
    "orchestrationTrigger": parse_orchestration_trigger,
    "activityTrigger": parse_activity_trigger,
}
SUPPORTED = (
    "cosmosDBTrigger, timerTrigger, httpTrigger and the HTTP response, orchestrationTrigger, activityTrigger "
    "and durableClient"
)
CONVERTED = ("cosmosDBTrigger", "timerTrigger", "httpTrigger")
"""Triggers whose value is an object of ``azure.functions``."""


def load_functions(app_dir: Path, settings: Mapping[str, str]) -> list[FunctionSpec]:
    """Import the app and return its functions.

    Raises
    ------
    HostStartError
        The app cannot be imported, registers no function app or two, uses a binding that this host does not
        run, or breaks a rule of the platform's own worker; the message names function and fault.
    """
    register = _import_app(app_dir)
    try:
        functions = register.get_functions()
    except (ValueError, TypeError, KeyError) as error:
        raise HostStartError(f"The functions of {app_dir / SCRIPT} cannot be indexed: {error}") from error
    specs = [_read_function(function, app_dir, settings) for function in functions]
    check_functions(functions)
    return specs


def _import_app(app_dir: Path) -> FunctionRegister:
    script = app_dir / SCRIPT
    if not script.is_file():
        raise HostStartError(f"{script} does not exist; start the host in the folder of the function app.")
    if str(app_dir) not in sys.path:
        sys.path.insert(0, str(app_dir))
    spec = importlib.util.spec_from_file_location("function_app", script)
    if spec is None or spec.loader is None:
        raise HostStartError(f"{script} cannot be loaded as a Python module.")
    module = importlib.util.module_from_spec(spec)
    sys.modules["function_app"] = module
    try:
        spec.loader.exec_module(module)
    except SettingsError as error:  # a sentence of its own, which names the setting
        raise HostStartError(str(error)) from error
    except (Exception, SystemExit) as error:
        raise HostStartError(f"{script} cannot be imported: {type(error).__name__}: {error}") from error
    names = [name for name, value in vars(module).items() if isinstance(value, FunctionRegister)]
    if len(names) != 1:
        # The worker counts names: one app under two of them is one too many.
        raise HostStartError(
            f"{script} must define exactly one FunctionApp at the top level, under one name; it has "
            f"{len(names)}{': ' if names else ''}{', '.join(names)}."
        )
    register: FunctionRegister = getattr(module, names[0])
    return register


def _read_function(function: Function, app_dir: Path, settings: Mapping[str, str]) -> FunctionSpec:
    name = str(function.get_function_name())
    trigger: Trigger | None = None
    argument = ""
    client: ClientInput | None = None
    for binding in (json.loads(text) for text in function.get_raw_bindings()):
        kind = str(binding.get("type"))
        if kind in PARSERS:
            trigger = PARSERS[kind](name, binding, settings)
            argument = str(binding["name"])
            if kind in CONVERTED:
                _check_converted(name, kind, argument, function.get_user_function())
        elif kind == "durableClient":
            client = parse_client_input(name, binding)
        elif not (kind == "http" and binding.get("name") == "$return"):
            raise HostStartError(
                f"Function {name} uses the binding {kind} ({binding.get('name')}), which this host does not "
                f"run; it runs {SUPPORTED}."
            )
    if trigger is None:
        raise HostStartError(f"Function {name} has no trigger.")
    call = function.get_user_function()
    parameters = inspect.signature(call).parameters
    return FunctionSpec(
        name=name,
        call=call,
        is_async=inspect.iscoroutinefunction(call),
        argument=argument,
        context_argument="context" if "context" in parameters and argument != "context" else None,
        trigger=trigger,
        retry=parse_retry_policy(name, function.get_settings_dict("retry_policy")),
        directory=Path(inspect.getfile(call)).parent,
        client=client,
    )


def _check_converted(name: str, kind: str, argument: str, call: Callable[..., Any]) -> None:
    annotated = inspect.signature(call).parameters.get(argument)
    if annotated is not None and annotated.annotation in (str, bytes, "str", "bytes"):
        raise HostStartError(
            f"Function {name} asks for its {kind} as plain {argument}: {annotated.annotation}, which this "
            "host does not give; use the type of azure.functions."
        )
