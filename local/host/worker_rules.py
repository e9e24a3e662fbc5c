"""What Microsoft's Python worker and host refuse when they index an app, refused here as well.

Each check names the rule it stands for, where the platform has it. The names refer to the public repositories
``azure-functions-python-worker`` (worker) and ``azure-functions-host`` (host).
"""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

import azure.functions as func
from azure.functions.decorators.core import BindingDirection
from azure.functions.decorators.function_app import Function

from local.host.errors import HostStartError

FUNCTION_NAME = re.compile(r"^(?!host$)[a-z][a-z0-9_\-]{0,127}$", re.IGNORECASE)
BINDING_NAME = re.compile(r"^[a-zA-Z][a-zA-Z0-9]{0,127}$")
RESERVED_ROUTES = ("admin", "runtime")
RETRYING_TRIGGERS = frozenset({"cosmosDBTrigger", "timerTrigger", "eventHubTrigger", "kafkaTrigger"})
"""Triggers with retry policies (documentation "Azure Functions error handling and retries")."""
RETURN = "$return"


class WorkerRuleError(HostStartError):
    """The platform would refuse the app. The sentence names the function and ends with the rule's source."""

    def __init__(self, function: str, fault: str, source: str) -> None:
        super().__init__(f"Function {function} {fault} ({source}).")
        self.source = source


def check_functions(functions: Iterable[Function]) -> None:
    """Check each function, and that no two have the same name.

    Raises
    ------
    WorkerRuleError
        The first rule that is broken.
    """
    found = list(functions)
    for function in found:
        check_function(function)
    names = Counter(str(function.get_function_name()).lower() for function in found)
    for name, count in names.items():
        if count > 1:
            fault = "has a name that another one has too, but for upper and lower case"
            raise WorkerRuleError(name, fault, "host: ScriptHost, functions by name")


def check_function(function: Function) -> None:
    """Check the name, the bindings, the parameters and the annotations of one function."""
    name = str(function.get_function_name())
    if not FUNCTION_NAME.match(name):
        fault = "has a name that is not a letter followed by up to 127 letters, digits, - and _, or is 'host'"
        raise WorkerRuleError(name, fault, "host: Utility.FunctionNameValidationRegex")
    bindings = _bindings(name, function)
    call = function.get_user_function()
    _check_callable(name, call)
    try:
        hints = get_type_hints(call)
    except (NameError, TypeError) as error:
        fault = f"has an annotation that cannot be evaluated: {error}"
        raise WorkerRuleError(name, fault, "worker: Registry.add_indexed_function") from error
    parameters = dict(inspect.signature(call).parameters)
    if "context" in parameters and "context" not in bindings:
        del parameters["context"]
        annotated = hints.get("context", func.Context)
        if not isinstance(annotated, type) or annotated.__name__ != "Context":
            fault = f"annotates its parameter context with {annotated!r} instead of azure.functions.Context"
            raise WorkerRuleError(name, fault, "worker: Registry.is_context_required")
    _check_parameters(name, parameters, bindings, hints)
    _check_return(name, bindings.get(RETURN), hints)
    _check_retry(name, bindings, function.get_settings_dict("retry_policy"))
    _check_route(name, bindings)


def _bindings(name: str, function: Function) -> dict[str, dict[str, Any]]:
    """Return the bindings by name, as the host reads them from the worker's JSON."""
    found: dict[str, dict[str, Any]] = {}
    source = "host: Utility.ValidateBinding"
    for binding in function.get_bindings():
        if not (binding.name == RETURN or BINDING_NAME.match(str(binding.name))):
            fault = (
                f"has a binding {binding.name!r}; its name must be a letter followed by letters and digits"
            )
            raise WorkerRuleError(name, fault, "host: Utility.BindingNameValidationRegex")
        if binding.name in found:
            raise WorkerRuleError(name, f"has two bindings with the name {binding.name}", source)
        direction = BindingDirection(binding.direction)
        if direction is BindingDirection.INOUT or (
            binding.name == RETURN and direction is not BindingDirection.OUT
        ):
            fault = f"gives its binding {binding.name} the direction {direction.name.lower()}"
            raise WorkerRuleError(name, fault, "worker: Registry.validate_binding_direction")
    try:
        raw = [json.loads(text) for text in function.get_raw_bindings()]
    except (TypeError, ValueError) as error:
        fault = f"has an attribute that JSON cannot hold: {error}"
        raise WorkerRuleError(name, fault, "worker: get_fx_raw_bindings") from error
    for described in raw:
        missing = [key for key in ("name", "type", "direction") if not described.get(key)]
        if missing:
            raise WorkerRuleError(name, f"has a binding without {', '.join(missing)}", source)
        found[described["name"]] = described
    if len(found) != len(raw):
        raise WorkerRuleError(name, "has two bindings of the same name", source)
    triggers = [one["type"] for one in raw if str(one["type"]).lower().endswith("trigger")]
    if len(triggers) != 1:
        fault = f"has {len(triggers)} triggers instead of one"
        raise WorkerRuleError(name, fault, "azure.functions: FunctionBuilder")
    return found


def _check_callable(name: str, call: Any) -> None:
    if inspect.isasyncgenfunction(call) or inspect.isgeneratorfunction(call):
        fault = "is a generator; the worker calls a function once and does not iterate over what it returns"
        raise WorkerRuleError(name, fault, "worker: Dispatcher, invocation request")
    for parameter in inspect.signature(call).parameters.values():
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD and parameter.kind != parameter.KEYWORD_ONLY:
            fault = f"has the parameter {parameter}, which cannot be given by name"
            raise WorkerRuleError(name, fault, "worker: Dispatcher calls with keyword arguments")


def _check_parameters(
    name: str,
    parameters: Mapping[str, inspect.Parameter],
    bindings: Mapping[str, Mapping[str, Any]],
    hints: Mapping[str, Any],
) -> None:
    source = "worker: Registry.validate_function_params"
    bound = set(bindings) - {RETURN}
    if set(parameters) != bound:
        fault = f"takes the parameters {sorted(parameters)}, but its bindings supply {sorted(bound)}"
        raise WorkerRuleError(name, fault, source)
    for parameter in parameters:
        if parameter not in hints:
            continue
        kind, annotated = str(bindings[parameter]["type"]), hints[parameter]
        if not isinstance(annotated, type):
            fault = f"annotates its parameter {parameter} with {annotated!r}, which is not a class"
            raise WorkerRuleError(name, fault, source)
        if annotated in (str, bytes):
            continue  # a generic binding
        converter = _converter(kind)
        if converter is not None and not converter.check_input_type_annotation(annotated):
            fault = f"annotates its parameter {parameter} with {annotated.__name__}, which {kind} cannot give"
            raise WorkerRuleError(name, fault, source)


def _converter(kind: str) -> Any:
    """Return what turns a binding's data into an argument; None where the worker has a generic binding."""
    return func.get_binding_registry().get(kind)  # type: ignore[no-untyped-call]


def _check_return(name: str, binding: Mapping[str, Any] | None, hints: Mapping[str, Any]) -> None:
    if binding is None or "return" not in hints:
        return
    source = "worker: Registry.get_function_return_type"
    annotated, kind = hints["return"], str(binding["type"])
    if not isinstance(annotated, type):
        fault = f"is annotated to return {annotated!r}, which is not a class"
        raise WorkerRuleError(name, fault, source)
    converter = _converter(kind)
    if converter is not None and not converter.check_output_type_annotation(annotated):
        fault = f"is annotated to return {annotated.__name__}, which the binding {kind} cannot take"
        raise WorkerRuleError(name, fault, source)


def _check_retry(name: str, bindings: Mapping[str, Mapping[str, Any]], policy: Any) -> None:
    trigger = next(str(one["type"]) for one in bindings.values() if str(one["type"]).endswith("Trigger"))
    if policy and trigger not in RETRYING_TRIGGERS:
        fault = f"has a retry policy, which has no effect on a {trigger}; remove it"
        raise WorkerRuleError(name, fault, "documentation: error handling and retries, supported triggers")


def _check_route(name: str, bindings: Mapping[str, Mapping[str, Any]]) -> None:
    for binding in bindings.values():
        route = str(binding.get("route", "")).strip("/").lower()
        if binding["type"] == "httpTrigger" and route.startswith(RESERVED_ROUTES):
            fault = (
                f"has the route {binding['route']!r}; routes that begin with admin or runtime are the host's"
            )
            raise WorkerRuleError(name, fault, "host: ScriptHost.ValidateHttpFunction")
