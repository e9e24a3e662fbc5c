"""What is known of a person's accounts, whichever generation counted them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from shared.aggregates.person_record import FURTHER_ACCOUNTS, REFUSED_KEY, PersonRecord
from shared.facts import USERS, decode_fact
from shared.ledger.changes import Change
from shared.ledger.document_version import Version, VersionOrder
from shared.ledger.pages import Entry

MAX_ACCOUNTS = 100
"""Accounts of one person in the register. The rest counts as one account that refuses."""


class KnownAccount(NamedTuple):
    """An account in the newest version that was counted."""

    version: Version
    refused: bool
    """Whether it refused or could not be read."""

    def replaces(self, known: KnownAccount) -> bool:
        """Return whether this takes the place of what was known before.

        It does unless it is older. If the order is not clear, the version that refuses stays.
        """
        order = self.version.order_against(known.version)
        if order is VersionOrder.UNKNOWN:
            later, earlier = self.version.ts, known.version.ts
            return later > earlier or (self.refused and later == earlier)
        return order is not VersionOrder.OLDER

    def encode(self) -> list[Any]:
        return [self.version.encode(), self.refused]


class ConsentChange(NamedTuple):
    """A counted version of an account that refuses, or whose earlier version refused."""

    change: Change
    account: KnownAccount
    replaced: Version | None
    """The version that was counted before."""


def account_entry(user_id: str, stored: Mapping[str, Any]) -> Entry:
    """Return the ledger's entry of an account in a record."""
    return Entry(Version.decode(stored["v"]), decode_fact(USERS, user_id, stored["f"]))


def known_account(stored: Mapping[str, Any]) -> KnownAccount:
    """Return what the ledger's entry of an account knows."""
    return KnownAccount(Version.decode(stored["v"]), bool(stored["f"].get(REFUSED_KEY)))


def known_accounts(record: PersonRecord) -> dict[str, KnownAccount]:
    """Return what a record knows of a person's accounts, by document id."""
    return {name: known_account(stored) for name, stored in record.accounts.items()}


def refusals_in(user_id: str, record: PersonRecord) -> list[ConsentChange]:
    """Return the accounts of a new record that refuse, as changes."""
    return [
        ConsentChange(Change(user_id, name, *account_entry(user_id, record.accounts[name])), account, None)
        for name, account in known_accounts(record).items()
        if account.refused and name != FURTHER_ACCOUNTS
    ]


def merged_accounts(
    known: Mapping[str, KnownAccount],
    added: Mapping[str, KnownAccount],
    replaced: Mapping[str, Version] | None = None,
) -> dict[str, KnownAccount]:
    """Return the accounts of both, each in its newest version. No version goes back."""
    merged = dict(known)
    for name, account in added.items():
        before = merged.get(name)
        if before is None and len(merged) >= MAX_ACCOUNTS:
            if account.refused:
                merged[FURTHER_ACCOUNTS] = KnownAccount(Version(0, None, ""), refused=True)
        elif before is None or account.replaces(before) or (replaced or {}).get(name) == before.version:
            merged[name] = account
    return merged
