"""The common parts of source documents: field types, limits, and how an error quotes a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from shared.documents.times import LATEST, canonical_text, parse_time
from shared.documents.token_kinds import MAX_TOKENS
from shared.errors import DocumentError
from shared.privacy.forms import Form, label, model_spelling, quote

MAX_TEXT_CHARACTERS = 262_144
"""65,536 output tokens, the maximum of all priced models, at four characters per token."""

CLOCK_TOLERANCE = timedelta(days=1)
"""Maximum time by which the writer's clock may be ahead of the service's clock."""

CLOCK_SKEW = timedelta(minutes=1)
"""Maximum time by which the end of a session may be before its start, and is read as the start: two clocks
wrote the two, or the end has no seconds."""

SCORE_ROUNDING = 1e-6
"""Maximum distance of a score from its range, and is read as the nearest value of it: a sum of floating-point
numbers. It is the unit in which scores are counted."""

MAX_NUMERAL = 10**15 - 1
"""Largest chapter or verse that is a number. Above 2^53 two numbers may be one to the service."""

NO_NUMBER = "must be a number"
NO_WHOLE_NUMBER = "must be a whole number"


def _integral(value: object) -> object:
    # Cosmos DB has one number type: 234.0 and 234 are the same value to the writer.
    if isinstance(value, bool):
        raise ValueError(NO_WHOLE_NUMBER)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, float) and not isfinite(value)):
        raise ValueError(NO_NUMBER)
    return value


_HALF_PAIR = re.compile("[\ud800-\udfff]")
"""An unpaired surrogate is not a character. No text encoding can represent it."""


def _label(value: object) -> object:
    return label(canonical_text(value)) if isinstance(value, str) else value


def _model_name(value: object) -> object:
    return model_spelling(canonical_text(value)) if isinstance(value, str) else value


def _numeral(value: object) -> object:
    if isinstance(value, str):
        return canonical_text(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = _integral(value) if is_number else None
    if not isinstance(whole, int) or not 0 <= whole <= MAX_NUMERAL:
        raise ValueError(f"must be a text, or a whole number from 0 to {MAX_NUMERAL:,}")
    return str(whole)


def _text(value: object) -> object:
    return canonical_text(value) if isinstance(value, str) else value


def to_range(low: float, high: float) -> Callable[[object], object]:
    """Return a function that replaces a number just outside a range by the nearest one inside it.

    Just outside is closer than :data:`SCORE_ROUNDING`.
    """

    def clamp(value: object) -> object:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return value
        if low - SCORE_ROUNDING <= value < low:
            return low
        return high if high < value <= high + SCORE_ROUNDING else value

    return clamp


_to_score = to_range(0.0, 1.0)


def _score(value: object, info: ValidationInfo) -> object:
    """Return a score, None for anything else. Names of fields that are left out go into the context."""
    score = _to_score(value)
    if isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1:
        return float(score)
    if value is not None and info.context is not None:
        info.context.append(info.field_name)
    return None


Whole = Annotated[int, BeforeValidator(_integral)]
Number = Annotated[float, BeforeValidator(_number)]
TokenCount = Annotated[Whole, Field(ge=0, le=MAX_TOKENS)]
Milliseconds = Annotated[Number, Field(ge=0, le=86_400_000)]
"""A duration within one day."""
Score = Annotated[float | None, BeforeValidator(_score)]
"""A computed score, 0 to 1. Anything else costs the field, not the document."""
Rating = Annotated[Whole, Field(ge=1, le=5)]
Count = Annotated[Whole, Field(ge=0, le=10_000)]
Label = Annotated[str, BeforeValidator(_label)]
ModelName = Annotated[str, BeforeValidator(_model_name)]
"""The name of a model, in its one spelling."""
Numeral = Annotated[str, BeforeValidator(_numeral)]
"""A chapter or verse as the document writes it: ``"2"``, ``2``, ``2.0``, ``"2:47"``. Not yet a name."""
Moment = Annotated[datetime, BeforeValidator(parse_time)]
"""A time: see :mod:`shared.documents.times`."""
Text = Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)]
MAX_IDENTIFIER_CHARACTERS = 255
Identifier = Annotated[str, Field(min_length=1, max_length=MAX_IDENTIFIER_CHARACTERS), BeforeValidator(_text)]


def truncate_to(most: int) -> Callable[[object], object]:
    """Return a function that cuts a list to its first ``most`` entries. Further entries are not validated."""
    return lambda value: value[:most] if isinstance(value, list) else value


def identifier(value: object) -> str | None:
    """Return a value that is an :data:`Identifier`, None for any other."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_IDENTIFIER_CHARACTERS:
        return None
    return None if _HALF_PAIR.search(value) else canonical_text(value)


class SourceModel(BaseModel):
    """A document or a part of one. Unknown fields are ignored, and types are not converted."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, hide_input_in_errors=True)


def written_at(raw: Mapping[str, Any]) -> datetime | None:
    """Return the time of the write, the service's ``_ts``; None if the document has none.

    Raises
    ------
    DocumentError
        It is not a whole number of seconds before the year 2100.
    """
    written = raw.get("_ts")
    if written is None:
        return None
    if isinstance(written, bool) or not isinstance(written, int) or not 0 <= written < LATEST.timestamp():
        raise DocumentError(
            "_ts", must_be(written, "must be whole seconds since 1970, before the year 2100", Form.NUMBER)
        )
    return datetime.fromtimestamp(written, UTC)


def require_not_after_write(field: str, moment: datetime, raw: Mapping[str, Any]) -> None:
    """Refuse a time after the write of the document, beyond the tolerance for clocks.

    Raises
    ------
    DocumentError
        The time is more than a day later than ``_ts``.
    """
    written = written_at(raw)
    if written is not None and moment > written + CLOCK_TOLERANCE:
        raise DocumentError(
            field,
            must_be(
                moment.isoformat(), "must not be more than a day after the document was written", Form.TIME
            ),
        )


def must_be(value: object, requirement: str, form: Form = Form.TEXT) -> str:
    """Return the problem with a value: what it is, and what it must be.

    Parameters
    ----------
    form
        The form of the field's values. It decides whether the value may be quoted.
    """
    return f"is {quote(value, form)}; {requirement}"
