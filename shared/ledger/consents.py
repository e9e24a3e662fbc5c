"""Changes of consent, told to what outlives a generation: the register of people, and other generations.

A refusal is a fact about a person, not about a generation. A generation that is set again after another one
does not hear of an account that was changed, and deleted, in between. So each change of consent is written
into the record of the person in every other generation that has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from shared.ledger.accounts import fold_accounts
from shared.ledger.apply import RunFold
from shared.ledger.generations import LAYOUT, Generations
from shared.ledger.known_accounts import ConsentChange
from shared.ledger.people_register import PeopleRegister
from shared.ledger.retention import Retention
from shared.ledger.shards import shard_of


class ConsentFollowers:
    """Writes changes of consent into the register, and into the other generations."""

    def __init__(self, register: PeopleRegister, generations: Generations) -> None:
        self._register = register
        self._generations = generations

    async def follow(self, consents: Sequence[ConsentChange], run: RunFold) -> None:
        """Write changes before the transaction that counts them. Writing them again changes nothing.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError, ConflictError
            The service did not answer, or other instances kept writing. The changes are not counted yet.
        """
        others = await self._generations.others()
        for change, account, replaced in consents:
            known = {} if replaced is None else {change.document_id: replaced}
            await self._register.record_accounts(change.user_id, {change.document_id: account}, known)
            # The order of versions that is not clear is that of the times of the writes.
            followed = replace(change, live=False, deleted=True)
            for number, generation in others.items():
                if generation.layout == LAYOUT:
                    shard = shard_of(change.user_id, shards=generation.shards, generation=number)
                    retention = Retention(generation.margin_days)
                    await run(
                        shard,
                        partial(fold_accounts, shard, [followed], retention=retention, only_known=True),
                    )
