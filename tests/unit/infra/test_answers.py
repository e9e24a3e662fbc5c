"""Every finding of checkov has an answer with a reason, and every answer a finding."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tests.azure.__main__ import ANSWERS, unanswered

FOUND = {"check_id": "CKV_1", "resource": "T.a", "check_name": "Ensure that it is good"}
ANSWER = {"check": "CKV_1", "resources": ["T.a"], "reason": "It is."}


def report(*found: dict[str, str], unread: int = 0) -> dict[str, Any]:
    return {"summary": {"parsing_errors": unread}, "results": {"failed_checks": list(found)}}


@pytest.mark.parametrize(
    ("of", "answers", "problem"),
    [
        (report(FOUND), [], "CKV_1 T.a: Ensure that it is good"),
        (report(FOUND, FOUND | {"resource": "T.b"}), [ANSWER], "T.b"),
        (report(), [ANSWER], "not found any more"),
        (report(unread=2), [], "could not parse 2"),
    ],
)
def test_what_does_not_match_is_a_problem(of: Any, answers: Any, problem: str) -> None:
    [found] = unanswered(of, {"answer": answers})
    assert problem in found


def test_a_finding_with_an_answer_is_none() -> None:
    assert list(unanswered(report(FOUND), {"answer": [ANSWER]})) == []


def test_every_answer_has_a_reason() -> None:
    answers = tomllib.loads(ANSWERS.read_text(encoding="utf-8"))["answer"]
    assert all(len(each["reason"]) > 20 for each in answers)
    assert len({each["check"] for each in answers}) == len(answers)
