"""The fleet put together: one object per process, from settings to everything that triggers call."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from shared.cosmos.client import connect
from shared.ingest.batch import Ingest
from shared.ledger.apply import ShardWriter
from shared.ledger.generations import Generations
from shared.ledger.store import ShardStore
from shared.maintenance.audit import Auditor
from shared.maintenance.rebuild import Rebuilder
from shared.maintenance.replay import Replayer
from shared.maintenance.reprice import Repricer
from shared.poison.store import PoisonStore
from shared.pricing.price_book import PriceBook
from shared.publishing.existing import ExistingDocuments
from shared.publishing.merge import StateMerger
from shared.publishing.passage_usage import PassageUsageWriter
from shared.publishing.publisher import Publisher
from shared.publishing.readiness import ViewReadiness
from shared.publishing.scheduled import ScheduledPublisher
from shared.publishing.system_health import HealthPublisher
from shared.publishing.writer import ViewWriter
from shared.settings import Settings


class Fleet:
    """Everything that handles changes. Connects when it is entered.

    Parameters
    ----------
    user_agent
        Tells in the account's logs who spent the request units.
    start_generation
        Entering it begins the generation of the settings, if it is a new one. An operator's command leaves
        that to the function app and to what counts, so that it does not fix a number of shards by accident.

    Raises
    ------
    SettingsError
        When it is entered: the settings contradict what ``fleet_state`` remembers of the generation.
    """

    def __init__(
        self, settings: Settings, *, user_agent: str = "vimarsh-fleet", start_generation: bool = True
    ) -> None:
        self.settings = settings
        self._start_generation = start_generation
        self._client = connect(settings, user_agent=user_agent)
        self._audit_client = connect(settings, user_agent=f"{user_agent}-audit")
        self.database = self._client.get_database_client(settings.cosmos_database)
        container = self.database.get_container_client
        self.generations = Generations(container("fleet_state"), settings)
        self.prices = PriceBook(container("fleet_state"))
        self.poison = PoisonStore(container("poison_messages"))
        shard_writer = ShardWriter(ShardStore(container("view_state"), cache_bytes=settings.cache_bytes))
        self.ingest = Ingest(
            database=self.database,
            writer=shard_writer,
            prices=self.prices,
            poison=self.poison,
            settings=settings,
        )
        existing = ExistingDocuments(self.database)
        writer = ViewWriter(self.database, existing)
        self.readiness = ViewReadiness(container("fleet_state"), settings, generations=self.generations)
        merger = StateMerger(container("view_state"), settings)
        self.publisher = Publisher(
            merger=merger,
            existing=existing,
            writer=writer,
            poison=self.poison,
            readiness=self.readiness,
            settings=settings,
        )
        self.rebuilder = Rebuilder(
            state=container("view_state"),
            readiness=self.readiness,
            publisher=self.publisher,
            settings=settings,
        )
        usage = PassageUsageWriter(
            state=container("view_state"),
            vectors=container("personality_vectors"),
            generation=settings.generation,
        )
        self.scheduled = ScheduledPublisher(
            merger=merger,
            usage=usage,
            state=container("view_state"),
            progress=container("fleet_state"),
            publisher=self.publisher,
            generations=self.generations,
            settings=settings,
        )
        self.health = HealthPublisher(
            state=container("view_state"),
            existing=existing,
            writer=writer,
            generations=self.generations,
            settings=settings,
        )
        self.replayer = Replayer(
            database=self.database, ingest=self.ingest, publisher=self.publisher, poison=self.poison
        )
        self.repricer = Repricer(
            database=self.database, writer=shard_writer, prices=self.prices, settings=settings
        )
        self.auditor = Auditor(
            reader=self._audit_client.get_database_client(settings.cosmos_database),
            cursors=container("fleet_state"),
            ingest=self.ingest,
            publisher=self.publisher,
            generations=self.generations,
            settings=settings,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
        await self._audit_client.close()

    async def __aenter__(self) -> Self:
        # The SDK learns the account's regions here; without it every call goes to the global endpoint.
        try:
            await self._client.__aenter__()
            await self._audit_client.__aenter__()
            if self._start_generation:
                await self.generations.begin()
            else:
                await self.generations.check()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
