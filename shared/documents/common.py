"""The common parts of source documents: identity, field types, limits, and the error for an invalid one."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Annotated, Any, Never

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shared.errors import DocumentError
from shared.privacy.fields import field_of
from shared.privacy.forms import Form, label, quote

MAX_DOCUMENT_CHARACTERS = 1_048_576
"""Maximum characters in all fields together: half of the service's limit for an item. This leaves room for
the whole document in a poison row."""

MAX_TEXT_CHARACTERS = 262_144
"""65,536 output tokens, the maximum of all priced models, at four characters per token."""

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
CLOCK_TOLERANCE = timedelta(days=1)
"""Maximum time by which the writer's clock may be ahead of the service's clock."""

NO_NUMBER = "must be a number"


def _integral(value: object) -> object:
    # Cosmos DB has one number type: 234.0 and 234 are the same value to the writer.
    if isinstance(value, bool):
        raise ValueError(NO_NUMBER)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, float) and not isfinite(value)):
        raise ValueError(NO_NUMBER)
    return value


_HALF_PAIR = re.compile("[\ud800-\udfff]")
"""An unpaired surrogate is not a character. No text encoding can represent it."""


def _label(value: object) -> object:
    return label(value) if isinstance(value, str) else value


def _numeral(value: object) -> object:
    whole = _integral(value)
    return str(whole) if isinstance(whole, int) else value


NO_TIME = "must be a time such as 2025-08-05T14:39:15.127Z"


def _moment(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(NO_TIME)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(NO_TIME) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not EARLIEST <= moment < LATEST:
        raise ValueError("must be in the years 2000 to 2099")
    return moment


Whole = Annotated[int, BeforeValidator(_integral)]
Number = Annotated[float, BeforeValidator(_number)]
TokenCount = Annotated[Whole, Field(ge=0, le=10_000_000)]
"""Tokens of one call. The largest context window of any model is 2 million."""
Milliseconds = Annotated[Number, Field(ge=0, le=86_400_000)]
"""A duration within one day."""
Share = Annotated[Number, Field(ge=0, le=1)]
Rating = Annotated[Whole, Field(ge=1, le=5)]
Count = Annotated[Whole, Field(ge=0, le=10_000)]
Label = Annotated[str, BeforeValidator(_label)]
Numeral = Annotated[str, BeforeValidator(_numeral)]
"""A chapter or verse as the document writes it: ``"2"``, ``2``, ``2.0``, ``"2:47"``. Not yet a name."""
Moment = Annotated[datetime, BeforeValidator(_moment)]
"""A time; one without a zone is UTC."""
Text = Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)]
MAX_IDENTIFIER_CHARACTERS = 255
Identifier = Annotated[str, Field(min_length=1, max_length=MAX_IDENTIFIER_CHARACTERS)]


def truncate_to(most: int) -> Callable[[object], object]:
    """Return a function that cuts a list to its first ``most`` entries. Further entries are not validated."""
    return lambda value: value[:most] if isinstance(value, list) else value


def identifier(value: object) -> str | None:
    """Return a value that is an :data:`Identifier`, None for any other."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_IDENTIFIER_CHARACTERS:
        return None
    return None if _HALF_PAIR.search(value) else value


class SourceModel(BaseModel):
    """A document or a part of one. Unknown fields are ignored, and types are not converted."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, hide_input_in_errors=True)


def require_object(raw: object, known: Collection[str]) -> Mapping[str, Any]:
    """Return ``raw`` as a JSON object of limited size.

    Parameters
    ----------
    known
        Fields that an error may name. Names of other fields are the document's own content.

    Raises
    ------
    DocumentError
        It is not an object, or is larger than :data:`MAX_DOCUMENT_CHARACTERS`.
    """
    if not isinstance(raw, Mapping):
        raise DocumentError("document", must_be(raw, "must be an object"))
    sizes = {name: _characters(value) for name, value in raw.items()}
    if sum(sizes.values()) > MAX_DOCUMENT_CHARACTERS:
        largest = max(sizes, key=lambda name: sizes[name])
        where, what = (largest, "") if largest in known else ("document", " in a field that is not known")
        raise DocumentError(
            where,
            f"has {sizes[largest]:,} characters{what}; all fields together may have at most "
            f"{MAX_DOCUMENT_CHARACTERS:,}",
        )
    return raw


def _characters(value: object) -> int:
    """Return the number of characters in a value."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):  # JSON has no other mapping; a check for Mapping is ten times slower
        return sum(map(_characters, value.values()))
    if isinstance(value, list):
        return sum(map(_characters, value))
    return 0


def require_not_after_write(field: str, moment: datetime, raw: Mapping[str, Any]) -> None:
    """Refuse a time after the write of the document, beyond the tolerance for clocks.

    Raises
    ------
    DocumentError
        The time is more than a day later than ``_ts``.
    """
    written = raw.get("_ts")
    if isinstance(written, int) and moment > datetime.fromtimestamp(written, UTC) + CLOCK_TOLERANCE:
        raise DocumentError(
            field,
            must_be(
                moment.isoformat(), "must not be more than a day after the document was written", Form.TIME
            ),
        )


_REQUIREMENTS = {
    "missing": "is missing",
    "string_too_short": "must not be empty",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": NO_NUMBER,
    "list_type": "must be a list",
    "model_type": "must be an object",
    "greater_than_equal": "must be at least {ge:,}",
    "less_than_equal": "must be at most {le:,}",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}
"""What a value must be, by the type of pydantic's error. The braces name entries of the error's context."""


def must_be(value: object, requirement: str, form: Form = Form.TEXT) -> str:
    """Return the problem with a value: what it is, and what it must be.

    Parameters
    ----------
    form
        The form of the field's values. It decides whether the value may be quoted.
    """
    return f"is {quote(value, form)}; {requirement}"


def raise_document_error(source: str, error: ValidationError) -> Never:
    """Raise pydantic's first error as a :class:`DocumentError` that names field, value and requirement.

    Parameters
    ----------
    source
        Container of the document: the table of fields says which values of it may be quoted.

    Raises
    ------
    DocumentError
        Always.
    """
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "document"
    value, kind, context = first.get("input"), first["type"], first.get("ctx", {})
    if kind == "string_too_long" and isinstance(value, str):
        problem = f"has {len(value):,} characters; may have at most {context['max_length']:,}"
    else:
        requirement = _REQUIREMENTS.get(kind, first["msg"]).format(**context)
        problem = (
            requirement if kind == "missing" else must_be(value, requirement, field_of(source, field).form)
        )
    raise DocumentError(field, problem) from None
