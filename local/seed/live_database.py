"""A live sample database: the questions of :mod:`local.seed.live` and all that goes with them. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from local.seed.accounts import USERS, account_document, draw_consents, with_other_consent
from local.seed.configurations import PERSONALITIES, configurations
from local.seed.database import CONTENT_MOMENT, LONGEST_MEMBERSHIP_DAYS, new_passages, observe
from local.seed.documents import timestamp
from local.seed.incidents import (
    INCIDENTS,
    SHARE,
    Flag,
    incident_document,
    pointing,
    points_at,
    resolved,
    under_investigation,
)
from local.seed.live import LiveTraffic
from local.seed.malformed import INCIDENT_DEFECTS, SESSION_DEFECTS, Document, break_as
from local.seed.passages import CitedPassage
from local.seed.schedule import Schedule
from local.seed.sessions import SESSIONS, Session, draw_ending
from local.seed.traffic import MILLIS_PER_DAY, Write

CONSENT_CHANGES = 0.002
"""Per question, the probability that somebody changes what they agreed to."""
MALFORMED_SHARE = 0.005
NOTICED_MILLIS = 1_000
SOONEST_REVIEW, LATEST_REVIEW = 5_000, 90_000  # milliseconds: somebody who watches wants to see them resolved


class LiveDatabase:
    """Live traffic, and the accounts, sessions, incidents and content that it needs.

    Parameters
    ----------
    users
        Number of people.
    seed
        Decides who they are and what they do; the documents' times are those given to the methods.
    """

    def __init__(self, users: int, seed: int) -> None:
        self._traffic = LiveTraffic(users, seed)
        self._seed = seed
        self._random = Random(f"{seed}:live_database")
        self._accounts: list[Document] = []
        self._sessions: dict[str, Session] = {}
        self._passages: set[CitedPassage] = set()
        self._later = Schedule()
        self._flagged = 0
        self._of_day: Counter[str] = Counter()

    def begin(self, moment: int) -> Iterator[Write]:
        """Yield what is there before anybody asks: personas and accounts."""
        for lane, document in enumerate(configurations()):
            yield Write("create", CONTENT_MOMENT, document, lane, container=PERSONALITIES)
        people = self._traffic.people
        consents = draw_consents(people, Random(f"{self._seed}:consents"))
        for lane, (person, consent) in enumerate(zip(people, consents, strict=True)):
            registered = moment - self._random.randrange(LONGEST_MEMBERSHIP_DAYS * MILLIS_PER_DAY)
            document = account_document(person, registered, consent, self._random)
            self._accounts.append(document)
            yield Write("create", registered, document, lane, container=USERS)

    def ask(self, moment: int) -> Iterator[Write]:
        """Yield the next question, asked at ``moment`` (milliseconds since the epoch), and what it causes.

        Nothing, if everybody has left.
        """
        if self._traffic.is_deserted:
            return
        question = self._traffic.ask(moment)
        yield from self._ended_sessions(moment)
        turn = self._traffic.turn
        assert turn is not None  # noqa: S101  there is a question
        name = question.document["session_id"]
        if name not in self._sessions:
            session = Session(turn.person, turn.session_start, Random(f"{self._seed}:session:{name}"))
            self._sessions[name] = session
            yield Write("create", session.start, session.opened(), question.lane, container=SESSIONS)
        yield from new_passages([question], self._passages)
        observe(question, self._sessions)
        if self._random.random() < SHARE:
            yield from self._flag(question, moment)
        else:
            yield question
        if self._accounts and self._random.random() < CONSENT_CHANGES:
            yield self._changed_consent(moment)

    def leave(self, lane: int) -> None:
        """Let a person ask no more. Writes that were drawn for them may still come."""
        self._traffic.leave(lane)

    def due(self, moment: int) -> Iterator[Write]:
        """Yield the ratings and reviews that have come by ``moment`` (milliseconds since the epoch)."""
        for rating in self._traffic.ratings_due(moment):
            observe(rating, self._sessions)
            yield rating
        yield from self._later.due(moment)

    def _ended_sessions(self, moment: int) -> Iterator[Write]:
        still_open = self._traffic.open_sessions()
        for name in [name for name in self._sessions if name not in still_open]:
            session = self._sessions.pop(name)
            lane = self._traffic.people.index(session.person)
            # It was over some time after its last answer, and at the latest now.
            drawn = draw_ending(session.last_answer, session.random)
            end = None if drawn.end is None else min(drawn.end, moment)
            document = session.closed(replace(drawn, end=end, written=moment))
            defect = None
            if self._random.random() < MALFORMED_SHARE:
                defect = self._random.choice(list(SESSION_DEFECTS))
                document = break_as(document, SESSION_DEFECTS, defect)
            yield Write("replace", moment, document, lane, defect, SESSIONS)

    def _flag(self, question: Write, moment: int) -> Iterator[Write]:
        """Yield a question and an incident about it, in one order or the other."""
        turn = self._traffic.turn
        assert turn is not None  # noqa: S101  there is a question
        random, self._flagged = self._random, self._flagged + 1
        how = pointing(self._flagged)
        noticed = moment if how == "before" else moment + NOTICED_MILLIS
        self._of_day[timestamp(noticed)[:10]] += 1
        number = self._of_day[timestamp(noticed)[:10]]
        flag = Flag(number, turn, how, points_at(how, question.document["id"], random), noticed)
        document = incident_document(flag, random)
        document["id"] = document["incident_id"] = f"{document['id']}_{self._seed:08x}"
        defect = random.choice(list(INCIDENT_DEFECTS)) if random.random() < MALFORMED_SHARE else None
        if defect is not None:
            document = break_as(document, INCIDENT_DEFECTS, defect)
        elif document["review_status"] == "pending_human_review":
            self._review(document, question.lane, noticed)
        incident = Write("create", noticed, document, question.lane, defect, INCIDENTS)
        yield from (incident, question) if how == "before" else (question, incident)

    def _review(self, document: Document, lane: int, noticed: int) -> None:
        begin = noticed + self._random.randint(SOONEST_REVIEW, LATEST_REVIEW)
        end = begin + self._random.randint(SOONEST_REVIEW, LATEST_REVIEW)
        looked_at = under_investigation(document, begin)
        done = resolved(looked_at, end, self._random)
        self._later.add(begin, lambda: Write("replace", begin, looked_at, lane, container=INCIDENTS))
        self._later.add(end, lambda: Write("replace", end, done, lane, container=INCIDENTS))

    def _changed_consent(self, moment: int) -> Write:
        lane = self._random.randrange(len(self._accounts))
        self._accounts[lane] = with_other_consent(self._accounts[lane], moment)
        return Write("replace", moment, self._accounts[lane], lane, container=USERS)
