"""What an orchestrator replies: all its actions so far, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

MARK = "$OutOfProcData$:"
"""A failed orchestrator raises; the reply stands behind this in the exception's text."""


class ActionType(IntEnum):
    """The numbers that the package gives actions."""

    CALL_ACTIVITY = 0
    CALL_ACTIVITY_WITH_RETRY = 1
    CALL_SUB_ORCHESTRATOR = 2
    CALL_SUB_ORCHESTRATOR_WITH_RETRY = 3
    CONTINUE_AS_NEW = 4
    CREATE_TIMER = 5
    WAIT_FOR_EXTERNAL_EVENT = 6
    CALL_ENTITY = 7
    CALL_HTTP = 8
    SIGNAL_ENTITY = 9
    SCHEDULED_SIGNAL_ENTITY = 10
    WHEN_ANY = 11
    WHEN_ALL = 12


UNSUPPORTED: Mapping[int, str] = {
    ActionType.CALL_ENTITY: "call_entity",
    ActionType.CALL_HTTP: "call_http",
    ActionType.SIGNAL_ENTITY: "signal_entity",
    ActionType.SCHEDULED_SIGNAL_ENTITY: "signal_entity",
}
"""Actions that the local host does not run, by the name of the method that asks for them."""

Leaf = Mapping[str, Any]
"""One action that is no compound of others."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply. ``leaves`` are its actions in the order in which the package numbers them."""

    leaves: tuple[Leaf, ...]
    done: bool = False
    output: Any = None
    error: str | None = None
    custom_status: Any = None


class AnswerError(Exception):
    """An orchestrator did not reply in the package's protocol; the text says how."""


def read_answer(text: str) -> Answer:
    """Read the JSON that an orchestrator returned.

    Raises
    ------
    AnswerError
        It is not of replay schema 2 or 3, the ones that this host speaks.
    """
    try:
        said = json.loads(text)
        version, actions = said.get("schemaVersion"), said["actions"]
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise AnswerError(f"the orchestrator returned no answer: {type(error).__name__}: {error}") from error
    if version not in (1, 2) or len(actions) != 1:
        raise AnswerError(f"the orchestrator answered in replay schema {version}, not 1 or 2")
    return Answer(
        leaves=tuple(_leaves(actions[0])),
        done=bool(said.get("isDone")),
        output=said.get("output"),
        error=said.get("error"),
        custom_status=said.get("customStatus"),
    )


def read_failure(text: str) -> Answer:
    """Read the text of the exception that an orchestrator raised.

    Raises
    ------
    AnswerError
        The exception does not come from the orchestrator's own code: it carries no reply.
    """
    message, *parts = text.split(MARK)
    while parts:  # the message may speak of the mark, and stands in the reply again
        with suppress(AnswerError):
            answer = read_answer(MARK.join(parts))
            return answer if answer.error else Answer(answer.leaves, error=message.strip() or "no message")
        message = f"{message}{MARK}{parts.pop(0)}"
    raise AnswerError(text)


def _leaves(actions: Sequence[Leaf]) -> Iterator[Leaf]:
    for action in actions:
        if action["actionType"] in (ActionType.WHEN_ANY, ActionType.WHEN_ALL):
            yield from _leaves(action["compoundActions"])
        else:
            yield action
