"""The record of a person: what is known of them besides counts. Stored with their ``person`` partial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

from shared.aggregates.document_index import DocumentIndex
from shared.aggregates.tally import NO_SAMPLES, Mean
from shared.units import Day, Micro, Month, json_bytes

REFUSED_KEY = "no"
"""Key of a stored account fact that marks a refusal."""

FURTHER_ACCOUNTS = ""
"""Id under which a record has one unreadable account in place of those that it has no room for, or whose ids
the generation before did not record."""

PREFERENCE_KEYS = ("z", "cs", "st")
"""Keys of a stored account fact: the fields of :class:`Preferences`."""

_RECORD_BYTES, _ACCOUNT_BYTES, _SUMMARY_BYTES = 80, 150, 80
"""Estimated JSON bytes of a record, of an account and of a month, without ids and names."""


class Preferences(NamedTuple):
    """What the person's accounts say of them: of several accounts, the first by id that says it."""

    zone: str | None = None
    citation_style: str | None = None
    subscription: str | None = None


class MonthSummary(NamedTuple):
    """What one month of a person adds to the figures of their tier, besides the active days.

    ``persona``, ``category`` and ``daytime`` are those of most of the person's interactions in the month.
    """

    sessions: int = 0
    depth: Micro | None = None
    session_seconds: Mean = NO_SAMPLES
    rating: Mean = NO_SAMPLES
    persona: str | None = None
    category: str | None = None
    daytime: str | None = None


@dataclass(slots=True)
class PersonRecord:
    """What is known of a person besides counts."""

    first_known: Day | None = None
    """First active day that an earlier generation knew."""
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The ledger's entries of the person's accounts, by document id, as a page would store them."""
    index: DocumentIndex = field(default_factory=DocumentIndex)
    """The hours of the ledger pages that have the person's documents."""
    months: dict[Month, MonthSummary] = field(default_factory=dict)
    """Summaries of the months in which the person was active."""
    changes: int = 0
    """How often the consent, the preferences or the first month have changed, which all published documents
    show."""
    pending: bool = False
    """Whether the published documents have yet to follow such a change."""
    erased: bool = False
    """Whether the person is being erased. Nothing of them is counted or published. The record says so until
    every other instance reads the tombstone."""

    @property
    def refused(self) -> bool:
        """Whether the person refuses user-level analytics, or is erased: nothing about them is published."""
        return self.erased or any(account["f"].get(REFUSED_KEY) for account in self.accounts.values())

    @property
    def preferences(self) -> Preferences:
        """The preferences in the person's accounts."""
        facts = [self.accounts[name]["f"] for name in sorted(self.accounts)]
        return Preferences(*(next((f[key] for f in facts if key in f), None) for key in PREFERENCE_KEYS))

    def mark_changed(self) -> None:
        """Record that the consent, the preferences or the first month have changed."""
        self.changes += 1
        self.pending = True

    def copy(self) -> PersonRecord:
        """Return an independent copy."""
        return replace(self, accounts=dict(self.accounts), index=self.index.copy(), months=dict(self.months))

    @property
    def weight(self) -> int:
        """Size of its JSON in bytes, estimated."""
        accounts = sum(
            json_bytes(name)
            + _ACCOUNT_BYTES
            + sum(len(account["f"].get(key) or "") for key in PREFERENCE_KEYS)
            for name, account in self.accounts.items()
        )
        months = sum(map(_summary_bytes, self.months.values()))
        return _RECORD_BYTES + accounts + self.index.weight + months

    def encode(self) -> dict[str, Any]:
        """Return the form in which the partial stores it: defaults left out."""
        stored = {
            "first_known": self.first_known,
            "accounts": self.accounts,
            "index": self.index.encode(),
            "months": dict(self.months),
            "refused": self.refused,
            "changes": self.changes,
            "pending": self.pending,
            "erased": self.erased,
        }
        return {name: value for name, value in stored.items() if value}

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`encode` wrote."""
        return cls(
            stored.get("first_known"),
            stored.get("accounts", {}),
            DocumentIndex.decode(stored.get("index", {})),
            {Month(month): decode_summary(summary) for month, summary in stored.get("months", {}).items()},
            stored.get("changes", 0),
            stored.get("pending", False),
            stored.get("erased", False),
        )


def _summary_bytes(summary: MonthSummary) -> int:
    return _SUMMARY_BYTES + json_bytes(summary.persona) + json_bytes(summary.category)


def decode_summary(stored: list[Any]) -> MonthSummary:
    """Read a stored summary."""
    sessions, depth, session_seconds, rating, *favourites = stored
    return MonthSummary(sessions, depth, Mean(*session_seconds), Mean(*rating), *favourites)
