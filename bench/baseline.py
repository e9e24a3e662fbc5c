"""The specification's own change feed processor ("Change Feed Processing"), as it is written there.

For each change each handler runs, one after the other; each handler reads the analytics document it
maintains, changes it and writes it back with an upsert. A change that fails is tried three times, with
pauses of 5 s and 10 s, and then written to ``poison_messages``. As written, the cost of an interaction is
calculated twice, once within ``update_user_analytics`` and once on its own.

Each handler of ``user_analytics`` maintains a person's day, week, month and quarter. Prices that never fail,
and documents without what one read and one write cannot maintain (percentiles, distinct people, comparisons
between texts, tiers, rankings) all favour this baseline.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from azure.core.exceptions import AzureError
from azure.cosmos.aio import DatabaseProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from bench import baseline_documents as documents
from bench.baseline_documents import Document, Interaction
from shared.cosmos.charges import record_charge
from shared.pricing.table import ModelPrice
from shared.units import usd

USER_ANALYTICS = "user_analytics"
DAILY_METRICS = "daily_metrics"
CONTENT_ANALYTICS = "content_analytics"
SYSTEM_HEALTH = "system_health"
POISON = "poison_messages"

MAX_RETRY_ATTEMPTS = 3
RETRY_DELAY_SECONDS = 5.0

Handler = Callable[[Interaction], Awaitable[None]]

_log = structlog.get_logger(__name__)


class AnalyticsStore(Protocol):
    """The processor's document store."""

    async def read(self, container: str, document_id: str, partition_key: str) -> Document | None:
        """Return a document, None if there is none."""

    async def upsert(self, container: str, document: Document) -> None:
        """Write a document unconditionally."""


class CosmosStore:
    """The documents in the database."""

    def __init__(self, database: DatabaseProxy) -> None:
        self._containers = {
            name: database.get_container_client(name)
            for name in (USER_ANALYTICS, DAILY_METRICS, CONTENT_ANALYTICS, SYSTEM_HEALTH, POISON)
        }

    async def read(self, container: str, document_id: str, partition_key: str) -> Document | None:
        """Read one document by its key."""
        try:
            return dict(
                await self._containers[container].read_item(
                    document_id, partition_key, response_hook=record_charge
                )
            )
        except CosmosResourceNotFoundError as error:
            record_charge(error.headers or {})
            return None

    async def upsert(self, container: str, document: Document) -> None:
        """Write one document."""
        await self._containers[container].upsert_item(document, response_hook=record_charge)


class MemoryStore:
    """The documents in memory: computes, without a request each, what a long history leaves behind."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str, str], Document] = {}

    async def read(self, container: str, document_id: str, partition_key: str) -> Document | None:
        """Return the document itself, not a copy: the processor writes back what it has changed."""
        return self.documents.get((container, document_id, partition_key))

    async def upsert(self, container: str, document: Document) -> None:
        """Store the document."""
        self.documents[container, document["id"], document["partition_key"]] = document


class BaselineProcessor:
    """Processes changes of ``user_interactions`` one by one.

    Parameters
    ----------
    prices
        The price list, which is "cached" as the specification has it: looked up without a request.
    retry_delay_seconds
        Pause after the first failure; twice as long after the second.
    """

    def __init__(
        self,
        store: AnalyticsStore,
        prices: Iterable[ModelPrice],
        *,
        retry_delay_seconds: float = RETRY_DELAY_SECONDS,
    ) -> None:
        self._store = store
        self._retry_delay_seconds = retry_delay_seconds
        self._pricing = {
            price.model: {
                "input_cost_per_token": usd(price.tiers[0].input_nano_usd_per_token),
                "output_cost_per_token": usd(price.tiers[0].output_nano_usd_per_token),
            }
            for price in sorted(prices, key=lambda price: price.since)
        }
        self.poisoned = 0

    async def process(self, changes: Sequence[Interaction]) -> None:
        """Process a page of the change feed."""
        for change in changes:
            await self._process_change_with_retry(
                change,
                [
                    self.update_user_analytics,
                    self.update_content_analytics,
                    self.update_system_health,
                    self.calculate_interaction_cost,
                ],
            )

    async def _process_change_with_retry(self, change: Interaction, handlers: Sequence[Handler]) -> None:
        retry_count = 0
        while retry_count < MAX_RETRY_ATTEMPTS:
            try:
                for handler in handlers:
                    await handler(change)
                return
            except AzureError:
                raise  # a benchmark whose server fails has nothing to report
            except Exception as error:  # noqa: BLE001  as the specification has it
                retry_count += 1
                _log.warning("change_processing_failed", attempt=retry_count, error_type=type(error).__name__)
                if retry_count < MAX_RETRY_ATTEMPTS:
                    await asyncio.sleep(self._retry_delay_seconds * retry_count)
                else:
                    await self._handle_poison_message(change, str(error))

    async def _handle_poison_message(self, change: Interaction, error_message: str) -> None:
        self.poisoned += 1
        await self._store.upsert(
            POISON,
            {
                "id": f"poison_{change.get('id', 'unknown')}_{int(time.time())}",
                "partition_key": POISON,
                "original_document": dict(change),
                "error_message": error_message,
                "failed_at": datetime.now(UTC).isoformat(),
                "retry_attempts": MAX_RETRY_ATTEMPTS,
                "requires_manual_review": True,
            },
        )

    async def update_user_analytics(self, interaction: Interaction) -> None:
        """Handler 1: cost, engagement, session and content of the interaction's person."""
        await self.calculate_interaction_cost(interaction, first=True)
        for change in (documents.set_engagement, documents.add_to_session, documents.add_preferences):
            await self._change_user(interaction, change)

    async def update_content_analytics(self, interaction: Interaction) -> None:
        """Handler 2: for each citation read its text's month, count it, write the month."""
        month = documents.month_of(interaction)
        for citation in interaction.get("foundational_texts_used") or ():
            source = citation["source"]
            found = await self._store.read(
                CONTENT_ANALYTICS, documents.text_document_id(source, month), source
            )
            text = found or documents.new_text_document(source, month)
            documents.add_to_text(text, interaction, citation)
            await self._store.upsert(CONTENT_ANALYTICS, text)

    async def update_system_health(self, interaction: Interaction) -> None:
        """Handler 3: read the five minutes, count the interaction, write the five minutes."""
        found = await self._store.read(
            SYSTEM_HEALTH, documents.health_document_id(interaction), "performance"
        )
        health = found or documents.new_health_document(interaction)
        documents.add_to_health(health, interaction)
        await self._store.upsert(SYSTEM_HEALTH, health)

    async def calculate_interaction_cost(self, interaction: Interaction, *, first: bool = False) -> None:
        """Handler 4, also called by handler 1: price the tokens and add them to the day.

        Parameters
        ----------
        first
            Count the interaction itself in the same write: the specification has another processor for the
            rest of ``daily_metrics``, which would read and write the document once more.
        """
        cost_data = interaction.get("cost_data") or {}
        model_used = cost_data.get("model_used")
        pricing = self.get_model_pricing(model_used)
        total_cost = (
            cost_data.get("input_tokens", 0) * pricing["input_cost_per_token"]
            + cost_data.get("output_tokens", 0) * pricing["output_cost_per_token"]
        )
        await self.update_daily_cost_metrics(interaction, total_cost, model_used, first=first)

    def get_model_pricing(self, model: str | None) -> Mapping[str, float]:
        """Return the price per token in USD. An unknown model is free here; as written it would fail."""
        return self._pricing.get(model or "", {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0})

    async def update_daily_cost_metrics(
        self, interaction: Interaction, total_cost: float, model_used: str | None, *, first: bool
    ) -> None:
        """Read the day, add the cost, write the day."""
        day = interaction["timestamp"][:10]
        daily = await self._store.read(DAILY_METRICS, documents.daily_document_id(day), day)
        daily = daily or documents.new_daily_document(day)
        if first:
            documents.add_usage(daily, interaction)
        documents.add_cost(daily, model_used, total_cost)
        await self._store.upsert(DAILY_METRICS, daily)

    async def _change_user(
        self, interaction: Interaction, change: Callable[[Document, Interaction], None]
    ) -> None:
        """Read each of the person's periods, change it, write it: one handler of the specification."""
        user_id = interaction["user_id"]
        for kind, period in documents.periods_of(interaction).items():
            found = await self._store.read(
                USER_ANALYTICS, documents.user_document_id(user_id, period), user_id
            )
            user = found or documents.new_user_document(user_id, kind, period)
            change(user, interaction)
            await self._store.upsert(USER_ANALYTICS, user)


async def store_all(memory: MemoryStore, database: DatabaseProxy, *, concurrency: int = 8) -> None:
    """Write what a :class:`MemoryStore` holds to the database."""
    slots = asyncio.Semaphore(concurrency)

    async def one(container: str, document: dict[str, Any]) -> None:
        async with slots:
            await database.get_container_client(container).upsert_item(document)

    await asyncio.gather(*(one(key[0], document) for key, document in memory.documents.items()))
