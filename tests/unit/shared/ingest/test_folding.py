"""The last word is that of the live documents, whatever was delivered, read or missed before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.aggregates.person_record import PersonRecord
from shared.clock import REPLICA_LAG_SECONDS
from shared.errors import MassFailureError, TransientStaleReadError
from shared.facts import USER_INTERACTIONS, USERS, Uncounted
from shared.fleet.wiring import Fleet
from shared.ingest.batch import IngestReport
from shared.ledger.changes import Verdict
from shared.ledger.pages import Page
from tests.fakes import FakeContainer
from tests.independent import input as independent
from tests.independent.interactions import is_malformed
from tests.unit.shared.delivery import no_pauses
from tests.unit.shared.world import World, interaction

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)

Document = dict[str, Any]

OWNER = "7"


class Lagging(FakeContainer):
    """A container whose next reads are answered by a replica that lacks the last write of each document."""

    def __init__(self, key: str, began: int) -> None:
        super().__init__(key, began=began)
        self.lag = 0
        self._before: dict[Any, Document] = {}

    def _store(self, item: Document) -> Document:
        key = self._partition(item), item["id"]
        if key in self.items:
            self._before[key] = self.items[key]
        return super()._store(item)

    async def read_item(self, item_id: str, partition_key: Any, **options: Any) -> Document:
        found = await super().read_item(item_id, partition_key, **options)
        if not self.lag:
            return found
        self.lag -= 1
        return self._before.get((self._partition(found), item_id), found)


class Story:
    """One person: their documents at the sources, and a fleet that is told of some of them."""

    def __init__(self) -> None:
        self.world = World()
        began = int(self.world.now.timestamp())
        self.world.settings = self.world.settings.model_copy(update={"document_attempts": 2})
        self.sources = {name: Lagging("user_id", began) for name in (USERS, USER_INTERACTIONS)}
        self.world.containers |= self.sources
        self.fleet: Fleet | None = None
        self.delivered: list[tuple[str, Document]] = []
        self._numbers = 0

    async def write(self, source: str, document: Document) -> None:
        stored = await self.sources[source].upsert_item(document)
        self._numbers += 1
        self.delivered.append((source, dict(stored) | {"_lsn": self._numbers}))

    async def ingest(self, source: str, documents: list[Document], **how: Any) -> IngestReport:
        """Deliver documents until they are taken, as the platform does."""
        self.fleet = self.fleet or await self.world.fleet()
        while True:
            try:
                return await self.fleet.ingest.ingest_batch(source, [dict(each) for each in documents], **how)
            except TransientStaleReadError:
                continue

    async def deliver_all(self) -> None:
        """Deliver the last version of every document, as the auditor does in the end."""
        for source, container in self.sources.items():
            container.lag = 0
            last = [d for s, d in self.delivered if s == source and self.stands(s, d)]
            if last:
                await self.ingest(source, last)

    def stands(self, source: str, document: Document) -> bool:
        """Return whether a delivered version is that of the live document."""
        return any(item["_etag"] == document["_etag"] for item in self.live(source))

    def live(self, source: str) -> list[Document]:
        return list(self.sources[source].items.values())

    def live_etag(self, source: str, delivered: Document) -> str:
        """Return the etag of the live document of a delivered one."""
        container = self.sources[source]
        return str(container.items[container._partition(delivered), delivered["id"]]["_etag"])

    def known(self) -> set[str]:
        """Return the etags of everything that the state knows of, counted or not."""
        records = [
            PersonRecord.decode(item["record"])
            for item in self.world.state.items.values()
            if item.get("aggregate") == "person"
        ]
        etags = {account["v"][2] for record in records for account in record.accounts.values()}
        return etags | {entry.version.etag for page in self.pages() for _, _, entry in page}

    def pages(self) -> list[Page]:
        return [Page.decode(i) for i in self.world.state.items.values() if i["kind"] == "ledger"]

    def forget(self) -> None:
        """Let everything that is known of the person expire, in a new process."""
        self.world.state.items.clear()
        self.fleet = None

    def record(self) -> PersonRecord | None:
        for item in self.world.state.items.values():
            if item.get("aggregate") == "person" and item["key"] == OWNER:
                return PersonRecord.decode(item["record"])
        return None

    def counted(self) -> dict[str, str]:
        """Return the etags of the counted interactions by id."""
        return {
            name: entry.version.etag
            for page in self.pages()
            for _, name, entry in page
            if not isinstance(entry.fact, Uncounted)
        }

    def poisoned(self) -> set[str]:
        return {row["source_etag"] for row in self.world.containers["poison_messages"].items.values()}


identities: list[Document] = [
    {"id": "user_7", "user_id": OWNER},
    {"id": "second", "user_id": OWNER},
    {"id": "7"},
    {"id": "7", "user_id": None},
    {"id": "older", "partition_key": OWNER},
    {"id": "..", "user_id": OWNER},
    {"id": "a number", "user_id": 7, "partition_key": OWNER},
    {"id": "user_8", "user_id": "8"},
    {"id": "8"},
]
"""Accounts of every partition; the last two are another person's."""

consents: list[Document] = [
    {},
    {"analytics_consent": True},
    {"analytics_consent": False},
    {"analytics_consent": "false"},
    {"schema_version": "2.0", "privacy_settings": {"analytics": "none"}},
    {"privacy_settings": []},
    {"privacy_settings": {"analytics_consent": True}},
    {"privacy_settings": {"analytics_consent": False}},
    {"account_status": 0},
    {"account_status": "deleted"},
]


def accounts(*among: Document) -> st.SearchStrategy[tuple[str, Document]]:
    one = st.builds(lambda who, says: {**who, **says}, st.sampled_from(among), st.sampled_from(consents))
    return st.tuples(st.just(USERS), one)


def interactions() -> st.SearchStrategy[tuple[str, Document]]:
    one = st.builds(
        lambda number, hour, rating, is_step: (
            interaction(number, f"2025-09-12T{hour:02}:00:00Z", OWNER)
            | {"user_rating": rating}
            | ({"id": "."} if is_step else {})
        ),
        st.integers(1, 2),
        st.integers(9, 10),
        st.sampled_from([None, 4, 5, 0]),
        st.booleans(),
    )
    return st.tuples(st.just(USER_INTERACTIONS), one)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), accounts(*identities[:3]) | interactions()),
        st.tuples(st.just("deliver"), st.integers(0, 30)),
        st.tuples(st.just("replay"), st.integers(0, 30)),
        st.tuples(st.just("write"), accounts(*identities) | interactions()),
        st.tuples(st.just("audit"), st.integers(0, 30)),
        st.tuples(st.just("lag"), st.sampled_from([USERS, USER_INTERACTIONS]), st.integers(1, 9)),
        st.tuples(st.just("forget")),
    ),
    min_size=2,
    max_size=12,
)


async def tell(story: Story, step: tuple[Any, ...]) -> None:
    match step:
        case ("write", (source, document)):
            await story.write(source, document)
        case ("deliver" | "audit", number) if story.delivered:
            source, document = story.delivered[number % len(story.delivered)]
            lag = story.sources[source].lag
            report = await story.ingest(source, [document], audited=step[0] == "audit")
            if report.folded.verdicts[Verdict.UNKNOWN] and not lag:
                assert story.live_etag(source, document) in story.known()
        case ("replay", number) if story.delivered:
            source, _ = story.delivered[number % len(story.delivered)]
            live = story.live(source)
            await story.ingest(source, [live[number % len(live)]], live=True)
        case ("lag", source, reads):
            story.sources[source].lag = reads
        case ("forget",):
            story.forget()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(accounts(*identities), max_size=2), steps)
def test_the_live_documents_have_the_last_word(
    first: list[tuple[str, Document]], steps: list[tuple[Any, ...]]
) -> None:
    """The person's first accounts are read by a query, and their first interaction as for a replay."""

    async def told() -> Story:
        story = Story()
        for written in [*first, (USER_INTERACTIONS, interaction(1, "2025-09-12T10:00:00Z", OWNER))]:
            await story.write(*written)
        await story.ingest(USER_INTERACTIONS, story.live(USER_INTERACTIONS), live=True)
        for step in steps:
            await tell(story, step)
        await story.deliver_all()
        return story

    story = asyncio.run(told())
    refuses = any(independent.refuses(d) for d in story.live(USERS) if independent.owner_of(d) == OWNER)
    record = story.record()
    assert record is None or record.refused is refuses
    assert record is not None or not refuses
    asked = {d["id"]: d["_etag"] for d in story.live(USER_INTERACTIONS) if not is_malformed(d)}
    assert story.counted() == asked
    unreadable = {d["_etag"] for d in story.live(USER_INTERACTIONS) if is_malformed(d)}
    assert unreadable <= story.poisoned()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(accounts(*identities), min_size=1, max_size=6), st.sets(st.integers(0, 5)), st.booleans())
def test_nothing_is_known_of_a_person_before_the_consent_of_every_account(
    written: list[tuple[str, Document]], delivered: set[int], is_expired: bool
) -> None:
    """The record is made with their first interaction, before the feed of accounts tells anything."""

    async def met() -> Story:
        story = Story()
        for source, account in written:
            await story.write(source, account)
        for number, (source, account) in enumerate(list(story.delivered)):
            if number in delivered and story.stands(source, account):
                await story.ingest(source, [account])
        if is_expired:
            story.forget()
        await story.write(USER_INTERACTIONS, interaction(1, "2025-09-12T10:00:00Z", OWNER))
        await story.ingest(USER_INTERACTIONS, [story.delivered[-1][1]])
        return story

    story = asyncio.run(met())
    record = story.record()
    assert record is not None
    own = [d for d in story.live(USERS) if independent.owner_of(d) == OWNER]
    if is_expired or not delivered:
        assert record.refused is any(independent.refuses(d) for d in own)


ACCOUNT = {"id": "user_7", "user_id": OWNER, "analytics_consent": True}


async def known_without_lsn() -> Story:
    """Return a story in which the consenting account was read by a query, and then refuses."""
    story = Story()
    await story.write(USERS, ACCOUNT)
    await story.write(USER_INTERACTIONS, interaction(1, "2025-09-12T10:00:00Z", OWNER))
    await story.ingest(USER_INTERACTIONS, [story.delivered[-1][1]])
    await story.write(USERS, ACCOUNT | {"analytics_consent": False})
    return story


async def test_a_replica_that_lags_holds_a_refusal_back_rather_than_dropping_it() -> None:
    story = await known_without_lsn()
    story.sources[USERS].lag = 1_000
    assert story.fleet is not None
    with pytest.raises(TransientStaleReadError, match="a replica of users lags behind its change feed"):
        await story.fleet.ingest.ingest_batch(USERS, [story.delivered[-1][1]])


async def test_after_the_longest_lag_an_earlier_time_is_a_clock_that_was_set_back() -> None:
    story = await known_without_lsn()
    story.sources[USERS].lag = 1_000
    refusal = story.delivered[-1][1]
    story.world.clock.now = lambda: story.world.now.fromtimestamp(  # type: ignore[method-assign]
        refusal["_ts"] + REPLICA_LAG_SECONDS, story.world.now.tzinfo
    )
    report = await story.ingest(USERS, [refusal])
    assert report.folded.verdicts == {Verdict.UNKNOWN: 1, Verdict.SAME: 1}


async def test_what_was_delivered_counts_if_its_document_is_gone() -> None:
    story = await known_without_lsn()
    refusal = story.delivered[-1][1]
    story.sources[USERS].items.clear()
    report = await story.ingest(USERS, [refusal])
    assert report.folded.verdicts == {Verdict.UNKNOWN: 1, Verdict.REPLACED: 1}
    assert (record := story.record()) is not None
    assert record.refused


async def test_an_earlier_version_of_a_document_that_is_gone_stays_uncounted() -> None:
    story = await known_without_lsn()
    agreement, refusal = story.delivered[0][1], story.delivered[-1][1]
    await story.ingest(USERS, [{name: refusal[name] for name in refusal if name != "_lsn"}], live=True)
    story.sources[USERS].items.clear()
    report = await story.ingest(USERS, [agreement])
    assert report.folded.verdicts == {Verdict.UNKNOWN: 1, Verdict.OLDER: 1}


async def test_an_error_with_the_live_document_is_that_of_the_delivered_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story = await known_without_lsn()
    assert story.fleet is not None
    folding = story.fleet.ingest._folding

    async def fail(*_: Any) -> None:
        raise KeyError("an error of ours")

    monkeypatch.setattr(folding, "_settle", fail)
    report = await story.ingest(USERS, [story.delivered[-1][1]])
    assert report.folded.unknown == []
    assert len(report.poisoned) == 1


async def test_a_live_document_of_most_of_a_batch_that_fails_holds_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story = Story()
    for number in range(6):
        await story.write(USERS, ACCOUNT | {"id": f"a{number}"})
    await story.ingest(USERS, [story.delivered[0][1]])
    assert story.fleet is not None

    async def fail(*_: Any) -> None:
        raise KeyError("an error of ours")

    monkeypatch.setattr(story.fleet.ingest._folding, "_settle", fail)
    for number in range(6):
        await story.write(USERS, ACCOUNT | {"id": f"a{number}", "timezone": "UTC"})
    with pytest.raises(MassFailureError):
        await story.ingest(USERS, [document for _, document in story.delivered[6:]])


async def test_a_version_that_is_written_while_the_live_one_is_folded_is_folded_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story = await known_without_lsn()
    assert story.fleet is not None
    folding = story.fleet.ingest._folding
    read, reads = folding._read, 0

    async def then_written(*arguments: Any) -> Any:
        nonlocal reads
        reads += 1
        found = await read(*arguments)
        if reads == 1:
            await story.write(USERS, ACCOUNT | {"analytics_consent": "no"})
        return found

    monkeypatch.setattr(folding, "_read", then_written)
    await story.ingest(USERS, [story.delivered[-1][1]])
    assert reads == 3  # the delivered version, the one that was written then, and that it is the last one
    assert story.live(USERS)[0]["_etag"] in story.known()
