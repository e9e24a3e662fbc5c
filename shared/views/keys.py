"""The form of the keys of a view: which kind of period, how it is written, and whether a part follows."""

from __future__ import annotations

from typing import NamedTuple

from shared.errors import MalformedKeyError
from shared.periods import Kind, Period, parse_period
from shared.units import Day, day_after
from shared.views.base import View


class _Form(NamedTuple):
    kind: Kind
    has_hyphens: bool
    has_part: bool


def period_in(key: str) -> Period:
    """Return the period at the beginning of a key: a day as ``2025-08-05``, or the label of a period.

    Raises
    ------
    ValueError
        The key names no period.
    """
    label = key.partition("|")[0]
    if "-" not in label:
        return parse_period(label)
    if day_after(Day(label), 0) != label:  # ``2025-W32-1`` is a date, but no key
        raise ValueError(f"{label!r} is not a day: 2025-08-05")
    return parse_period(label.replace("-", ""))


def check_key(view: View, key: str) -> None:
    """Check that a document of a view can have a key.

    Raises
    ------
    MalformedKeyError
        None can. The message shows one that a document can have.
    """
    try:
        is_right = _form(key) == _form(view.example)
    except ValueError:
        is_right = False
    if not is_right:
        raise MalformedKeyError(f"{key!r} is not a key of {view.name}: one is {view.example}")


def _form(key: str) -> _Form:
    label, bar, part = key.partition("|")
    if bar and not part:
        raise ValueError("nothing follows the |")
    return _Form(period_in(key).kind, "-" in label, bool(part))
