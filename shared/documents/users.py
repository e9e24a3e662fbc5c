"""The fields of ``users`` that the fleet reads: whose account it is, consent and preferences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator

from shared.documents.common import Moment, SourceModel, identifier
from shared.documents.reading import SourceDocument, read_document
from shared.documents.upcasters import CONSENTS
from shared.documents.versions import USER
from shared.units import hash_key

OPEN_STATUSES = frozenset({"", "active", "suspended"})
"""Values of ``account_status`` that do not end the person's consent. The specification's third one is
``deleted``. Any other value is unknown, and ends it too."""

ID_PREFIX = "user_"
"""Beginning of an account's id since version 1.0. The rest is the user id."""

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


class Consents(SourceModel):
    """A person's answers. None is an answer that was never asked for."""

    analytics_consent: bool | None = None
    data_collection_consent: bool | None = None
    data_retention_consent: bool | None = None


class Preferences(SourceModel):
    """What the person prefers."""

    citation_style: Word = None


def _object_or_none(value: Any) -> Any:
    return value if isinstance(value, Mapping) else None


class UserDocument(SourceDocument, Consents):
    """One user's account. Only its owner is required.

    The consents at the top level are those of documents from before 1.0, with any stated version.
    """

    CONTAINER: ClassVar = "users"

    privacy_settings: Consents | None = None
    account_status: str | None = None
    created_at: Moment | None = None
    content_preferences: Annotated[Preferences | None, BeforeValidator(_object_or_none)] = None
    subscription_tier: Word = None
    timezone: Zone = None

    @property
    def refuses(self) -> bool:
        """Whether the person refuses user-level analytics.

        A newer schema version may ask under another name. Without an answer here it therefore refuses.
        """
        if (self.account_status or "").strip().casefold() not in OPEN_STATUSES:
            return True
        if self.newer_version is not None and self._answer("analytics_consent") is None:
            return True
        return any(self._answer(name) is False for name in CONSENTS)

    def _answer(self, consent: str) -> bool | None:
        """Return an answer, that of ``privacy_settings`` if it has one."""
        answer: bool | None = getattr(self.privacy_settings, consent, None)
        older: bool | None = getattr(self, consent)
        return older if answer is None else answer


def parse_user(raw: object) -> UserDocument:
    """Read and check one document of ``users``. Raises what :func:`read_document` raises.

    An account without ``user_id`` has the owner that :func:`owner_of` finds: older versions have none.
    """
    if isinstance(raw, Mapping) and raw.get("user_id") is None:
        raw = {**raw, "user_id": owner_of(raw)}
    return read_document(UserDocument, USER, raw)


def owner_of(account: Mapping[str, Any]) -> str | None:
    """Return whose account it is, None if it says nothing of it.

    Accounts of every version have the user id in one of three fields: ``user_id`` since 1.0,
    ``partition_key``, and ``id``, since 1.0 with a prefix. The first one that is an identifier counts.
    """
    for name in ("user_id", "partition_key"):
        owner = identifier(account.get(name))
        if owner is not None:
            return owner
    document_id = account.get("id")
    return identifier(document_id.removeprefix(ID_PREFIX)) if isinstance(document_id, str) else None


def ids_without_owner(owner: str) -> tuple[str, str]:
    """Return the ids of accounts of a person that have neither ``user_id`` nor ``partition_key``."""
    return owner, f"{ID_PREFIX}{owner}"


def account_key(account: Mapping[str, Any]) -> str:
    """Return a name that tells a person's accounts apart: the id, or a hash of what an account has as id.

    Ids differ within one partition only. The name of an account that is not in its owner's says so, after a
    blank: names are in the order of the ids, by which preferences are chosen.
    """
    name = identifier(account.get("id")) or hash_key(repr(account.get("id")))
    if identifier(account.get("user_id")) is not None:
        return name
    return f"{name} {hash_key(repr(account['user_id']))}" if "user_id" in account else f"{name} "
