"""The fields of ``users`` that the fleet reads: consent and preferences, nothing that identifies anyone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError

from shared.documents.common import Identifier, Moment, SourceModel, raise_document_error, require_object
from shared.documents.versions import USER, upcast

_WORD = re.compile(r"[A-Za-z][A-Za-z_-]{0,23}")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,32}){0,2}")


def _matching(pattern: re.Pattern[str]) -> BeforeValidator:
    """Return a validator that takes anything but a matching text as not given.

    An account that cannot be read counts as a refusal. A preference must not have this effect.
    """
    return BeforeValidator(
        lambda value: value if isinstance(value, str) and pattern.fullmatch(value) else None
    )


Word = Annotated[str | None, _matching(_WORD)]
Zone = Annotated[str | None, _matching(_ZONE)]
"""The name of a time zone, ``America/New_York``."""


class Privacy(SourceModel):
    """The person's consent."""

    analytics_consent: bool | None = None
    data_collection_consent: bool | None = None


class Preferences(SourceModel):
    """What the person prefers."""

    citation_style: Word = None


def _object_or_none(value: Any) -> Any:
    return value if isinstance(value, Mapping) else None


class UserDocument(SourceModel):
    """One user's account. Only ``id`` and ``user_id`` are required."""

    id: Identifier
    user_id: Identifier
    privacy_settings: Privacy | None = None
    analytics_consent: bool | None = None
    """The field of documents from before 1.0, with any stated version."""
    created_at: Moment | None = None
    content_preferences: Annotated[Preferences | None, BeforeValidator(_object_or_none)] = None
    subscription_tier: Word = None
    timezone: Zone = None


def parse_user(raw: object) -> UserDocument:
    """Read and check one document of ``users``.

    Raises
    ------
    DocumentError
        It is not an object, lacks its id or user, or its consent or time has an impossible value.
    """
    document = upcast(USER, require_object(raw, UserDocument.model_fields))
    try:
        return UserDocument.model_validate(document)
    except ValidationError as error:
        raise_document_error("users", error)
