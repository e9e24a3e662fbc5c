"""The source containers, and how a document of each becomes a change to fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from shared.address import SourceAddress
from shared.documents.common import identifier
from shared.documents.incidents import parse_incident
from shared.documents.interactions import parse_interaction
from shared.documents.sessions import parse_session
from shared.documents.times import may_be_rewritten
from shared.documents.users import account_key, owner_of, parse_user
from shared.documents.versions import ABUSE_INCIDENT, USER, USER_INTERACTION, USER_SESSION
from shared.errors import DocumentError, NewerVersionError
from shared.facts import (
    ABUSE_INCIDENTS,
    USER_INTERACTIONS,
    USER_SESSIONS,
    USERS,
    Fact,
    Uncounted,
    consent_fact,
    incident_fact,
    interaction_fact,
    session_fact,
)
from shared.ledger.accounts import unreadable_account
from shared.ledger.changes import Change
from shared.ledger.document_version import Version
from shared.pricing.table import PriceTable
from shared.units import Millis


class _Parsed(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def user_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Source:
    """A container whose change feed is folded."""

    name: str
    document_type: str
    """Names the history of schema versions."""
    handler: str
    """Names the processing step in poison rows and logs."""
    read: Callable[[object, PriceTable], tuple[_Parsed, Fact]]
    """Checks a raw document and reduces it to its fact."""

    def to_change(self, raw: object, prices: PriceTable, live: bool) -> Change:
        """Parse a document and reduce it to its fact.

        Parameters
        ----------
        live
            The document was read from the source just now, rather than delivered by its feed.

        Raises
        ------
        DocumentError
            The document cannot be counted.
        """
        document, fact = self.read(raw, prices)
        assert isinstance(raw, Mapping)  # noqa: S101  every parser rejects anything else
        name = account_key(raw) if self.name == USERS else document.id
        return Change(document.user_id, name, Version.of(raw), fact, live=live, address=address_of(raw))

    def to_uncounted(self, raw: object, error: Exception, live: bool) -> Change | None:
        """Return the change that subtracts the earlier version of a document that cannot be read.

        The owner of an account that cannot be read counts as refusing until it can, whatever the error.

        None if the error is not the document's, or a schema version that only a newer release can read: the
        earlier version stays counted. None as well if the document does not contain its id or its user. No
        version of a document without a user was ever counted, because the user is the partition key.
        """
        if not isinstance(raw, Mapping):
            return None
        version = Version.of(raw)
        if self.name == USERS:
            owner = self.owner_of(raw)
            if owner is None:
                return None
            unreadable = unreadable_account(owner, version)
            return Change(owner, account_key(raw), version, unreadable, live=live, address=address_of(raw))
        if isinstance(error, NewerVersionError) or not isinstance(error, DocumentError):
            return None
        document_id, user_id = identifier(raw.get("id")), self.owner_of(raw)
        if document_id is None or user_id is None:
            return None
        uncounted = Uncounted(user_id, Millis(version.ts * 1000))
        return Change(user_id, document_id, version, uncounted, live=live, address=address_of(raw))

    def owner_of(self, raw: object) -> str | None:
        """Return whose document it is, None if it says nobody's id."""
        if not isinstance(raw, Mapping):
            return None
        return owner_of(raw) if self.name == USERS else identifier(raw.get("user_id"))


def address_of(raw: Mapping[str, Any]) -> SourceAddress | None:
    """Return where the service keeps a document, as far as it was delivered as it is kept."""
    address = SourceAddress.of(raw)
    if address is None or address.rid is None:
        return address
    texts = (address.id, address.partition)
    is_exact = not any(isinstance(text, str) and may_be_rewritten(text) for text in texts)
    return address._replace(rid=None) if is_exact else address


def _interaction(raw: object, prices: PriceTable) -> tuple[_Parsed, Fact]:
    document = parse_interaction(raw)
    return document, interaction_fact(document, prices)


def _session(raw: object, _: PriceTable) -> tuple[_Parsed, Fact]:
    document = parse_session(raw)
    return document, session_fact(document)


def _incident(raw: object, _: PriceTable) -> tuple[_Parsed, Fact]:
    document = parse_incident(raw)
    return document, incident_fact(document)


def _user(raw: object, _: PriceTable) -> tuple[_Parsed, Fact]:
    document = parse_user(raw)
    return document, consent_fact(document)


SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(USER_INTERACTIONS, USER_INTERACTION, "fold_interactions", _interaction),
        Source(USER_SESSIONS, USER_SESSION, "fold_sessions", _session),
        Source(ABUSE_INCIDENTS, ABUSE_INCIDENT, "fold_incidents", _incident),
        Source(USERS, USER, "fold_users", _user),
    )
}
"""Every source, by container name."""
