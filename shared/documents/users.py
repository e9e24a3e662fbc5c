"""Documents of ``users``, as far as the fleet reads them: consent, and nothing that says who it is."""

from __future__ import annotations

from pydantic import ValidationError

from shared.documents.common import Block, Identifier, Moment, reject, require_object
from shared.documents.versions import USER, upcast


class Privacy(Block):
    """What the person agreed to."""

    analytics_consent: bool | None = None


class UserDocument(Block):
    """One person's account. Only ``id`` and ``user_id`` are required."""

    id: Identifier
    user_id: Identifier
    privacy_settings: Privacy | None = None
    analytics_consent: bool | None = None
    """Where documents of before 1.0 have it, whatever version they say they are."""
    created_at: Moment | None = None


def parse_user(raw: object) -> UserDocument:
    """Read and check one document of ``users``.

    Raises
    ------
    DocumentError
        It is not an object, lacks its id or user, or a field has an impossible value.
    """
    document = upcast(USER, require_object(raw, UserDocument.model_fields))
    try:
        return UserDocument.model_validate(document)
    except ValidationError as error:
        reject(error)
