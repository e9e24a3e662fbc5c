"""The common parts of source documents: identity, field types, limits, and the error for an invalid one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Annotated, Any, Never

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shared.errors import DocumentError
from shared.units import bounded_name

MAX_DOCUMENT_CHARACTERS = 1_048_576
"""Maximum characters in all fields together: half of the service's limit for an item. This leaves room for
the whole document in a poison row."""

MAX_TEXT_CHARACTERS = 262_144
"""65,536 output tokens, the maximum of all priced models, at four characters per token."""

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
CLOCK_TOLERANCE = timedelta(days=1)
"""Maximum time by which the writer's clock may be ahead of the service's clock."""

_QUOTABLE = re.compile(r"[A-Za-z0-9._\-]{0,32}|\d{4}-\d\d-\d\d[0-9T:.+Z\- ]{0,25}")
"""A single word, a version or a time. An error may quote these texts: none is a sentence or an address."""

_MOST_DIGITS = 40


def quote(value: object) -> str:
    """Return a value in the form for an error. Of what may be a person's words: only type and length."""
    match value:
        case str():
            return repr(value) if _QUOTABLE.fullmatch(value) else f"a text of {len(value)} characters"
        case list() | tuple():
            return f"a list of {len(value)} entries"
        case Mapping():
            return f"an object of {len(value)} fields"
        case int() if value.bit_length() > 3 * _MOST_DIGITS:
            return f"a number of {value.bit_length()} bits"
        case None | int() | float():
            return repr(value)
        case _:
            return f"a {type(value).__name__}"


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

_NEVER_IN_A_LABEL = "/"
_REPLACED = re.compile(f"{_NEVER_IN_A_LABEL}+")
_UNSAFE = re.compile(r"[^A-Za-z0-9._~\- ]+")


def label(text: str) -> str:
    """Return a text as a name: without characters of sentences or addresses, and of a bounded length.

    Letters, marks and digits of every script remain. Unicode's normal form C gives each name one spelling.
    An underscore replaces control characters, and characters that ids and paths of the service may not have.
    A long name is shortened as :func:`~shared.units.bounded_name` does. A name is its own name.
    """
    text = text.strip()
    if text.isascii():  # true for nearly all
        safe = _UNSAFE.sub("_", text)
    else:
        composed = unicodedata.normalize("NFC", text)
        safe = _REPLACED.sub("_", "".join(c if _is_safe(c) else _NEVER_IN_A_LABEL for c in composed))
    return bounded_name(safe)


def _is_safe(character: str) -> bool:
    return character in "._~- " or unicodedata.category(character)[0] in "LMN"


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
            field, must_be(moment.isoformat(), "must not be more than a day after the document was written")
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


def must_be(value: object, requirement: str) -> str:
    """Return the problem with a value: what it is, and what it must be."""
    return f"is {quote(value)}; {requirement}"


def raise_document_error(error: ValidationError) -> Never:
    """Raise pydantic's first error as a :class:`DocumentError` that names field, value and requirement.

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
        problem = requirement if kind == "missing" else must_be(value, requirement)
    raise DocumentError(field, problem) from None
