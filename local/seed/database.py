"""A whole sample database: the interactions of :mod:`local.seed.traffic` and all that goes with them. No I/O.

Sessions, incidents, accounts, personas and passages are drawn from random streams of their own: they change
nothing in the interactions of a seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from random import Random

from local.seed.accounts import USERS, Consent, account_document, draw_consents, with_other_consent
from local.seed.configurations import PERSONALITIES, configurations
from local.seed.documents import Turn
from local.seed.incidents import (
    INCIDENTS,
    SHARE,
    Flag,
    Pointing,
    incident_document,
    noticed_at,
    pointing,
    points_at,
    resolved,
    review_moments,
    under_investigation,
)
from local.seed.malformed import INCIDENT_DEFECTS, SESSION_DEFECTS, Document, break_as, drawn_defects
from local.seed.passages import VECTORS, CitedPassage, cited_in, passage_document
from local.seed.people import Person
from local.seed.schedule import Schedule
from local.seed.sessions import SESSIONS, Ending, Session, draw_ending, start_of
from local.seed.traffic import (
    INTERACTIONS,
    MILLIS_PER_DAY,
    TrafficPlan,
    Write,
    count_interaction_writes,
    interaction_id,
    interaction_writes,
    plan_people,
    plan_turns,
)

CONTAINERS = (PERSONALITIES, VECTORS, USERS, SESSIONS, INTERACTIONS, INCIDENTS)
"""Everything that is written."""

CONTENT = frozenset({PERSONALITIES, VECTORS})
"""Written before the traffic that refers to it: what the content pipeline writes, not the web application."""

CONTENT_MOMENT = 1_751_328_000_000
"""When all content was created: 1 July 2025."""

LONGEST_MEMBERSHIP_DAYS = 400


def database_writes(plan: TrafficPlan) -> Iterator[Write]:
    """Yield all writes of a period in the order of their moments, after all content.

    The traffic is drawn twice: content names the passages that the traffic cites.
    """
    for lane, document in enumerate(configurations()):
        yield Write("create", CONTENT_MOMENT, document, lane, container=PERSONALITIES)
    yield from new_passages(interaction_writes(plan, plan_turns(plan)), set())
    yield from _web_application(plan)


def count_database_writes(plan: TrafficPlan) -> int:
    """Return how many writes :func:`database_writes` yields, less those of passages: they come as cited."""
    turns = plan_turns(plan)
    beside = sum(1 for _ in _beside(plan, turns, {}).due(None))
    return len(configurations()) + beside + count_interaction_writes(plan, turns)


def _web_application(plan: TrafficPlan) -> Iterator[Write]:
    turns = plan_turns(plan)
    sessions: dict[str, Session] = {}
    beside = _beside(plan, turns, sessions)
    for write in interaction_writes(plan, turns):
        yield from beside.due(write.moment)
        observe(write, sessions)
        yield write
    yield from beside.due(None)


def observe(write: Write, sessions: dict[str, Session]) -> None:
    """Count an interaction in its session; a rating that comes after its end is lost to it."""
    session = sessions.get(write.document["session_id"])
    if session is None:
        return
    if write.kind == "create":
        session.asked(write.moment, write.document)
    else:
        session.rated(write.document)


def new_passages(writes: Iterable[Write], seen: set[CitedPassage]) -> Iterator[Write]:
    """Yield the passages that ``writes`` cite and that are not among those ``seen``, which they join."""
    for write in writes:
        if write.container == INTERACTIONS and write.kind == "create":
            for passage in cited_in(write.document):
                if passage not in seen:
                    seen.add(passage)
                    document = passage_document(passage)
                    yield Write("create", CONTENT_MOMENT, document, len(seen), container=VECTORS)


def _beside(plan: TrafficPlan, turns: list[Turn], sessions: dict[str, Session]) -> Schedule:
    """Plan what is written beside interactions; those sessions are in ``sessions`` that are open."""
    schedule = Schedule()
    people = plan_people(plan)
    lanes = {person.user_id: lane for lane, person in enumerate(people)}
    _plan_accounts(plan, people, turns, schedule)
    _plan_sessions(plan, turns, lanes, sessions, schedule)
    _plan_incidents(plan, turns, lanes, schedule)
    return schedule


# --- accounts -----------------------------------------------------------------------------------------------


def _plan_accounts(
    plan: TrafficPlan, people: tuple[Person, ...], turns: list[Turn], schedule: Schedule
) -> None:
    first: dict[str, int] = {}
    for turn in turns:
        first.setdefault(turn.person.user_id, turn.moment)
    consents = draw_consents(people, Random(f"{plan.seed}:consents"))
    for lane, (person, consent) in enumerate(zip(people, consents, strict=True)):
        _plan_account(plan, person, first.get(person.user_id, plan.end), consent, lane, schedule)


def _plan_account(
    plan: TrafficPlan, person: Person, first: int, consent: Consent, lane: int, schedule: Schedule
) -> None:
    random = Random(f"{plan.seed}:registration:{lane}")
    if person.joined == 0:
        registered = plan.start - random.randrange(LONGEST_MEMBERSHIP_DAYS * MILLIS_PER_DAY)
    else:
        registered = plan.start + round(person.joined * plan.days * MILLIS_PER_DAY)
    # Whoever joins asks a first question some minutes later, at the latest.
    registered = min(registered, first - random.randint(60_000, 1_800_000))

    def document() -> Document:
        return account_document(person, registered, consent, Random(f"{plan.seed}:account:{lane}"))

    schedule.add(registered, lambda: Write("create", registered, document(), lane, container=USERS))
    if consent.changes:
        moment = random.randrange(max(registered, plan.start), plan.end)
        schedule.add(
            moment,
            lambda: Write("replace", moment, with_other_consent(document(), moment), lane, container=USERS),
        )


# --- sessions -----------------------------------------------------------------------------------------------


def _plan_sessions(
    plan: TrafficPlan,
    turns: list[Turn],
    lanes: dict[str, int],
    sessions: dict[str, Session],
    schedule: Schedule,
) -> None:
    last: dict[tuple[str, int], Turn] = {}
    for turn in turns:
        last[turn.person.user_id, turn.session_start] = turn
    defects = drawn_defects(
        len(last), plan.malformed_share, SESSION_DEFECTS, Random(f"{plan.seed}:session_defects")
    )
    endings = Random(f"{plan.seed}:endings")
    for index, turn in enumerate(last.values()):
        _plan_session(
            turn,
            f"{plan.seed}:session:{index}",
            draw_ending(turn.moment, endings),
            lanes[turn.person.user_id],
            defects.get(index),
            sessions,
            schedule,
        )


def _plan_session(
    turn: Turn,
    seed: str,
    ending: Ending,
    lane: int,
    defect: str | None,
    sessions: dict[str, Session],
    schedule: Schedule,
) -> None:
    def opened() -> Write:
        session = Session(turn.person, turn.session_start, Random(seed))
        sessions[session.id] = session
        schedule.add(ending.written, lambda: closed(session))
        return Write("create", session.start, session.opened(), lane, container=SESSIONS)

    def closed(session: Session) -> Write:
        del sessions[session.id]
        document = session.closed(ending)
        if defect is not None:
            document = break_as(document, SESSION_DEFECTS, defect)
        return Write("replace", ending.written, document, lane, defect, SESSIONS)

    schedule.add(start_of(turn.session_start), opened)


# --- incidents ----------------------------------------------------------------------------------------------


def _plan_incidents(plan: TrafficPlan, turns: list[Turn], lanes: dict[str, int], schedule: Schedule) -> None:
    flags = _flags(plan, turns)
    defects = drawn_defects(
        len(flags), plan.malformed_share, INCIDENT_DEFECTS, Random(f"{plan.seed}:incident_defects")
    )
    for index, flag in enumerate(flags):
        random = Random(f"{plan.seed}:incident:{index}")
        plan_incident(flag, lanes[flag.turn.person.user_id], random, defects.get(index), schedule)


def _flags(plan: TrafficPlan, turns: list[Turn]) -> list[Flag]:
    """Draw what is noticed: about one interaction in a hundred, in the order in which it is."""
    random = Random(f"{plan.seed}:flags")
    drawn = random.sample(turns, round(len(turns) * SHARE))
    noticed: list[tuple[int, int, Pointing]] = []
    for position, turn in enumerate(drawn):
        how = pointing(position)
        noticed.append((noticed_at(turn, how, random), turn.index, how))
    of_day: Counter[int] = Counter()
    flags: list[Flag] = []
    for moment, index, how in sorted(noticed):
        of_day[moment // MILLIS_PER_DAY] += 1
        target = points_at(how, interaction_id(plan, turns[index]), random)
        flags.append(Flag(of_day[moment // MILLIS_PER_DAY], turns[index], how, target, moment))
    return flags


def plan_incident(flag: Flag, lane: int, random: Random, defect: str | None, schedule: Schedule) -> None:
    """Plan the writes of one incident; a malformed one is not reviewed."""

    def noted() -> Write:
        document = incident_document(flag, random)
        if defect is not None:
            broken = break_as(document, INCIDENT_DEFECTS, defect)
            return Write("create", flag.moment, broken, lane, defect, INCIDENTS)
        _plan_review(flag, document, lane, random, schedule)
        return Write("create", flag.moment, document, lane, container=INCIDENTS)

    schedule.add(flag.moment, noted)


def _plan_review(flag: Flag, document: Document, lane: int, random: Random, schedule: Schedule) -> None:
    moments = review_moments(flag, document, random)
    if not moments:
        return
    begin, *end = moments
    looked_at = under_investigation(document, begin)
    schedule.add(begin, lambda: Write("replace", begin, looked_at, lane, container=INCIDENTS))
    if end:
        done = resolved(looked_at, end[0], random)
        schedule.add(end[0], lambda: Write("replace", end[0], done, lane, container=INCIDENTS))
