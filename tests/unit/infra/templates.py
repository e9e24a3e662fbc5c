"""The Bicep templates as data: parsed by pycep, with what pycep does not keep (which words are names)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pycep import BicepParser

ROOT = Path(__file__).parents[3]
INFRA = ROOT / "infra"

_TEXT = re.compile(r"'(?:\\.|[^'\\])*'")
_COMMENT = re.compile(r"//[^\n]*")
_WORD = re.compile(r"(?<![\w.?])([A-Za-z_]\w*)(?!\w)(?!:)")
"""A word that is neither a property nor the key of an object."""

KEYWORDS = {
    "targetScope", "metadata", "param", "var", "resource", "module", "output", "existing", "if", "for", "in",
    "true", "false", "null", "string", "int", "bool", "object", "array",
}  # fmt: skip
FUNCTIONS = {
    "concat", "empty", "environment", "fail", "filter", "guid", "items", "length", "loadJsonContent", "map",
    "replace", "resourceGroup", "resourceId", "string", "subscription", "subscriptionResourceId", "take",
    "tenant", "toLower", "union", "uniqueString",
}  # fmt: skip
DECORATORS = {
    "allowed", "batchSize", "description", "maxLength", "maxValue", "metadata", "minLength", "minValue",
}  # fmt: skip


@cache
def _parsed(text: str) -> Mapping[str, Any]:
    return _PARSER.parse(text=text)


_PARSER = BicepParser()


@dataclass(frozen=True)
class Template:
    """One Bicep file."""

    name: str
    """Its path in ``infra/``."""
    text: str

    @cached_property
    def tree(self) -> Mapping[str, Any]:
        return _parsed(self.text)

    def section(self, name: str) -> Mapping[str, Any]:
        """Return parameters, variables, resources, modules or outputs by name."""
        return self.tree.get(name, {})

    @property
    def parameters(self) -> Mapping[str, Any]:
        return self.section("parameters")

    @property
    def required(self) -> set[str]:
        return {name for name, of in self.parameters.items() if of["default"] is None}

    @property
    def modules(self) -> Mapping[str, Any]:
        return self.section("modules")

    def resources(self, *, existing: bool = False) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
        """Yield name, type, API version and body of each resource."""
        for name, of in self.section("resources").items():
            if bool(of["existing"]) == existing:
                yield name, of["type"], of["api_version"], body_of(of)

    @cached_property
    def code(self) -> str:
        """The file without comments and texts; what texts interpolate stays."""
        plain = re.sub(r"(?m)^\s*//[^\n]*$", "", self.text)
        found = []

        def inside(text: re.Match[str]) -> str:
            found.extend(re.findall(r"\$\{([^{}]*)\}", text.group()))
            return "''"

        plain = _TEXT.sub(inside, plain)
        while any("'" in each for each in found):
            found = [_TEXT.sub(inside, each) for each in found]
        return "\n".join([plain, *(f"({each})" for each in found)])

    def words(self) -> set[str]:
        """Return the names that expressions use."""
        body = re.sub(r"(?m)^(param|var|resource|module|output|metadata)\s+\w+", r"\1", self.code)
        body = re.sub(r" in (\w+):", r" in \1 :", body)
        return set(_WORD.findall(body)) - KEYWORDS

    def local_names(self) -> set[str]:
        """Return the variables of loops and lambdas."""
        loops = re.findall(r"for \(?(\w+)(?:, (\w+)\))? in", self.code)
        return {name for pair in loops for name in pair if name} | set(re.findall(r"(\w+) =>", self.code))

    def outputs_used(self) -> set[tuple[str, str]]:
        """Return the outputs that are used of modules: names of module and output."""
        return set(re.findall(r"(\w+)\.\??outputs\.(\w+)", self.code))


def body_of(declared: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the body of a resource or module, of a loop that of one turn, of a condition what follows it."""
    config = declared["config"]
    while "config" in config and ("loop_type" in config or "condition" in config):
        config = config["config"]
    return config


def templates(changed: Mapping[str, str] | None = None) -> dict[str, Template]:
    """Read all files, with other text for some of them."""
    found = {
        str(path.relative_to(INFRA)): path.read_text(encoding="utf-8") for path in INFRA.rglob("*.bicep")
    }
    return {name: Template(name, text) for name, text in sorted({**found, **(changed or {})}.items())}


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value in a body with its path, through the branches of conditions."""
    yield path, value
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from walk(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner, path)
