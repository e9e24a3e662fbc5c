"""Compare a document with the one that was expected, leaf by leaf."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Near:
    """A number that is shown rounded or estimated."""

    value: float
    tolerance: float

    def fits(self, shown: object) -> bool:
        return (
            isinstance(shown, int | float)
            and not isinstance(shown, bool)
            and abs(shown - self.value) <= self.tolerance
        )


@dataclass(frozen=True)
class Text:
    """A text around a number, which is compared elsewhere."""

    start: str
    end: str

    def fits(self, shown: object) -> bool:
        return isinstance(shown, str) and shown.startswith(self.start) and shown.endswith(self.end)


ABOUT_THE_STATE = {
    "calculated_at", "calculation_version", "data_freshness", "state", "last_updated", "generated_at"
}  # fmt: skip
"""Fields that tell which state is shown and when it was written: not computed from documents."""


def differences(where: str, shown: Mapping[str, Any] | None, expected: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each leaf in which two documents differ."""
    if shown is None:
        yield f"{where}: is not published"
        return
    actual = {name: v for name, v in shown.items() if name[0] != "_" and name not in ABOUT_THE_STATE}
    leaves, wanted = dict(flattened(actual)), dict(flattened(expected))
    for path in sorted(leaves.keys() | wanted.keys()):
        value, computed = leaves.get(path, "(no such field)"), wanted.get(path, "(no such field)")
        fits = computed.fits(value) if isinstance(computed, Near | Text) else same(value, computed)
        if not fits:
            yield f"{where}: {path} shows {value!r}, computed {computed!r}"


def same(shown: object, computed: object) -> bool:
    # True == 1 and 1 == 1.0 in Python; in a document they are different things.
    return shown == computed and type(shown) is type(computed)


def flattened(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{path}.")
        elif isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
            yield from flattened({str(number): entry for number, entry in enumerate(value)}, f"{path}.")
        else:
            yield path, value
