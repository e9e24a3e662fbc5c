"""Which model a name means: prefixes of providers, pinned versions, and aliases. Data, not code.

See ``docs/pricing.md``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from shared.privacy.forms import model_spelling


@dataclass(frozen=True)
class NameRules:
    """How a spelling becomes the name of a model.

    Attributes
    ----------
    prefixes
        First segments of a path that say who serves a model, not which one: ``google`` in
        ``google/gemini-2.5-flash``.
    versions
        Regular expressions of endings that pin a version of a model: ``-\\d{3}``.
    aliases
        Spellings that mean another model, with its spelling.
    """

    prefixes: frozenset[str] = frozenset()
    versions: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _version(self) -> re.Pattern[str]:
        return re.compile(rf"(.+?)(?:{'|'.join(self.versions) or '(?!)'})")

    def with_aliases(self, aliases: Mapping[str, str]) -> NameRules:
        """Return the rules with more aliases. A new alias replaces one of the same name."""
        return replace(self, aliases={**self.aliases, **aliases})

    def model(self, spelling: str, priced: Collection[str]) -> str:
        """Return the model that a spelling means.

        A name with a price of its own is never taken for another model, except by an alias.
        """
        known = spelling
        for known in self._without_prefixes(spelling):
            found = self._known(known, priced)
            if found is not None:
                return found
        return known

    def unversioned(self, spelling: str) -> str | None:
        """Return a spelling without its pinned version, None if it has none."""
        found = self._version.fullmatch(spelling)
        return None if found is None else found[1]

    def _known(self, spelling: str, priced: Collection[str]) -> str | None:
        if spelling in self.aliases:
            meant = self.aliases[spelling]
            return meant if meant in priced else self._versionless(meant, priced) or meant
        return spelling if spelling in priced else self._versionless(spelling, priced)

    def _versionless(self, spelling: str, priced: Collection[str]) -> str | None:
        base = self.unversioned(spelling)
        if base is None:
            return None
        meant = self.aliases.get(base, base)
        return meant if meant in priced else None

    def _without_prefixes(self, spelling: str) -> Iterator[str]:
        """Return the spelling, and then without each of its prefixes."""
        yield spelling
        while "/" in spelling and spelling.partition("/")[0] in self.prefixes:
            spelling = spelling.partition("/")[2]
            yield spelling

    def dump(self) -> dict[str, Any]:
        """Return the form in which it is stored and shipped."""
        return {
            "prefixes": sorted(self.prefixes),
            "versions": list(self.versions),
            "aliases": dict(sorted(self.aliases.items())),
        }

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`dump` returned."""
        return cls(
            frozenset(map(model_spelling, stored["prefixes"])),
            tuple(stored["versions"]),
            {model_spelling(name): model_spelling(model) for name, model in stored["aliases"].items()},
        )
