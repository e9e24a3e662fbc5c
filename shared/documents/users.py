"""The fields of ``users`` that the fleet reads: consent, and nothing that identifies the person."""

from __future__ import annotations

from pydantic import ValidationError

from shared.documents.common import Identifier, Moment, SourceModel, raise_document_error, require_object
from shared.documents.versions import USER, upcast


class Privacy(SourceModel):
    """The person's consent."""

    analytics_consent: bool | None = None


class UserDocument(SourceModel):
    """One user's account. Only ``id`` and ``user_id`` are required."""

    id: Identifier
    user_id: Identifier
    privacy_settings: Privacy | None = None
    analytics_consent: bool | None = None
    """The field of documents from before 1.0, with any stated version."""
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
        raise_document_error(error)
