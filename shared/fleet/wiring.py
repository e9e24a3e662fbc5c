"""The composition root: one object per process, from the settings to everything that triggers call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from azure.cosmos.aio import DatabaseProxy

from shared.builds.builder import ContentBuilder
from shared.clock import SYSTEM_CLOCK, Clock
from shared.containers import FLEET_STATE, POISON_MESSAGES, VIEW_CONTAINERS, VIEW_STATE
from shared.cosmos.access import check_access
from shared.cosmos.client import connect
from shared.ingest.batch import Ingest
from shared.ingest.new_people import NewPeople
from shared.ledger.apply import ShardWriter
from shared.ledger.consents import ConsentFollowers
from shared.ledger.earlier_people import EarlierPeople
from shared.ledger.generations import Generations
from shared.ledger.people_register import PeopleRegister
from shared.ledger.retention import Retention
from shared.ledger.state_mark import StateMark
from shared.ledger.store import ShardStore
from shared.maintenance.audit import Auditor
from shared.maintenance.decide import Decider
from shared.maintenance.migrate import Migrator
from shared.maintenance.rebuild import Rebuilder
from shared.maintenance.remove_generation import GenerationRemover
from shared.maintenance.repair import Repairer
from shared.maintenance.replay import Replayer
from shared.maintenance.reprice import Repricer
from shared.poison.store import PoisonStore
from shared.pricing.price_book import PriceBook
from shared.publishing.consent import ConsentKeeper
from shared.publishing.content_builds import ContentBuilds
from shared.publishing.contents import ContentReader
from shared.publishing.existing import ExistingDocuments
from shared.publishing.merge import StateMerger
from shared.publishing.passage_usage import PassageUsageWriter
from shared.publishing.people_rounds import PeopleRounds
from shared.publishing.publisher import Publisher
from shared.publishing.readiness import ViewReadiness
from shared.publishing.reference import ReferenceReader
from shared.publishing.scheduled import ScheduledPublisher
from shared.publishing.system_health import HealthPublisher
from shared.publishing.tiers import TierPublisher
from shared.publishing.writer import ViewWriter
from shared.settings import Settings


class Fleet:
    """Everything that triggers and operators call, on given databases. Connects to nothing.

    Parameters
    ----------
    database
        The database of the sources, of the state and of the views.
    audit_database
        The same database through a client that nothing else uses: see :class:`Auditor`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        database: DatabaseProxy,
        audit_database: DatabaseProxy,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        container = database.get_container_client
        state, fleet_state = container(VIEW_STATE), container(FLEET_STATE)
        self.settings = settings
        self.database = database
        outputs = [state, *map(container, VIEW_CONTAINERS)]
        self.generations = Generations(fleet_state, settings, outputs=outputs, clock=clock)
        self.mark = StateMark(state, fleet_state, settings, generations=self.generations, clock=clock)
        self.prices = PriceBook(fleet_state, clock=clock)
        self.poison = PoisonStore(container(POISON_MESSAGES), clock=clock)
        self.retention = Retention(settings.state_margin_days)
        self._wire_ledger(clock)
        self._wire_publishing(clock)
        self.rebuilder = Rebuilder(
            state=state,
            progress=fleet_state,
            readiness=self.readiness,
            publisher=self.publisher,
            settings=settings,
            retention=self.retention,
            clock=clock,
        )
        self._wire_poison()
        self.repricer = Repricer(
            database=database, writer=self.writer, prices=self.prices, settings=settings, clock=clock
        )
        self.migrator = Migrator(database=database, reader=audit_database, prices=self.prices, clock=clock)
        self.auditor = Auditor(
            reader=audit_database,
            cursors=fleet_state,
            ingest=self.ingest,
            publisher=self.publisher,
            generations=self.generations,
            mark=self.mark,
            settings=settings,
            clock=clock,
        )

    async def check_ready(self) -> None:
        """Check everything without which no invocation succeeds.

        Raises
        ------
        SettingsError
            The settings contradict the stored state, or ``view_state`` was deleted or restored.
        NotReadyError
            Containers are missing, or a right.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        await check_access(self.database)
        await self.generations.check()
        await self.mark.check()

    def _wire_ledger(self, clock: Clock) -> None:
        settings, container = self.settings, self.database.get_container_client
        state, fleet_state = container(VIEW_STATE), container(FLEET_STATE)
        self.register = PeopleRegister(fleet_state, settings.key_ring(), clock=clock)
        new_people = NewPeople(self.database, EarlierPeople(state, self.generations), self.register)
        self.writer = ShardWriter(
            ShardStore(state, cache_bytes=settings.cache_bytes),
            new_people.read_records,
            follow_consents=ConsentFollowers(self.register, self.generations).follow,
            retention=self.retention,
            clock=clock,
        )
        self.ingest = Ingest(
            database=self.database,
            writer=self.writer,
            prices=self.prices,
            poison=self.poison,
            register=self.register,
            settings=settings,
            clock=clock,
        )
        self.remover = GenerationRemover(
            state, fleet_state, self.generations, settings, new_people.read_records
        )

    def _wire_poison(self) -> None:
        self.replayer = Replayer(
            database=self.database, ingest=self.ingest, publisher=self.publisher, poison=self.poison
        )
        self.decider = Decider(poison=self.poison, replayer=self.replayer)
        self.repairer = Repairer(
            database=self.database, prices=self.prices, poison=self.poison, replayer=self.replayer
        )

    def _wire_publishing(self, clock: Clock) -> None:
        settings, container = self.settings, self.database.get_container_client
        state, progress = container(VIEW_STATE), container(FLEET_STATE)
        self.readiness = ViewReadiness(
            progress, settings, generations=self.generations, retention=self.retention, clock=clock
        )
        existing = ExistingDocuments(self.database)
        writer = ViewWriter(self.database, existing)
        merger = StateMerger(state, settings)
        builder = ContentBuilder(state=state, settings=settings, retention=self.retention, clock=clock)
        consent = ConsentKeeper(self.database, settings, self.retention, clock=clock)
        self.publisher = Publisher(
            merger=merger,
            contents=ContentReader(builder.store),
            reference=ReferenceReader(
                container("personality_vectors"), container("personalities"), clock=clock
            ),
            existing=existing,
            writer=writer,
            poison=self.poison,
            readiness=self.readiness,
            consent=consent,
            settings=settings,
            clock=clock,
        )
        self.scheduled = ScheduledPublisher(
            people=PeopleRounds(
                state=state,
                progress=progress,
                publisher=self.publisher,
                consent=consent,
                settings=settings,
                clock=clock,
            ),
            builds=ContentBuilds(builder=builder, progress=progress, settings=settings, clock=clock),
            tiers=TierPublisher(
                state=state,
                progress=progress,
                existing=existing,
                writer=writer,
                readiness=self.readiness,
                settings=settings,
                retention=self.retention,
                clock=clock,
            ),
            publisher=self.publisher,
            usage=PassageUsageWriter(store=builder.store, vectors=container("personality_vectors")),
            generations=self.generations,
            settings=settings,
            clock=clock,
        )
        self.health = HealthPublisher(
            state=state,
            existing=existing,
            writer=writer,
            generations=self.generations,
            settings=settings,
            clock=clock,
        )


@asynccontextmanager
async def connected_fleet(
    settings: Settings, *, user_agent: str = "vimarsh-fleet", start_generation: bool = True
) -> AsyncIterator[Fleet]:
    """Connect to the account of the settings; close the connections at the end.

    Parameters
    ----------
    user_agent
        Suffix of the User-Agent header: the account's logs say who spent the request units.
    start_generation
        Record the generation of the settings if it is new. Operators' commands pass False, so that they never
        fix the number of shards by accident.

    Raises
    ------
    SettingsError
        The settings contradict what ``fleet_state`` records of the generation, or ``view_state`` was deleted
        or restored, or there are no keys of hashes.
    """
    settings.key_ring()
    async with AsyncExitStack() as connections:
        client = await connections.enter_async_context(connect(settings, user_agent=user_agent))
        audit_client = await connections.enter_async_context(
            connect(settings, user_agent=f"{user_agent}-audit")
        )
        fleet = Fleet(
            settings,
            database=client.get_database_client(settings.cosmos_database),
            audit_database=audit_client.get_database_client(settings.cosmos_database),
        )
        begun = fleet.generations.begin if start_generation else fleet.generations.check
        generation = await begun()
        if generation is not None:
            fleet.retention.margin_days = generation.margin_days
        await (fleet.mark.advance() if start_generation else fleet.mark.check())
        yield fleet
