"""Errors of commands: each is one sentence and an exit code, whatever its class."""

from __future__ import annotations

import pytest
import structlog
import typer

from ops.console import reported
from shared.errors import TEMPORARY, NotReadyError, SettingsError
from terminal.output import Exit
from tests.every_error import of_the_fleet, of_the_service


def ending(error: BaseException) -> int:
    async def work() -> None:
        raise error

    with pytest.raises(typer.Exit) as ended:
        reported(work)
    return ended.value.exit_code


@pytest.mark.parametrize(
    "error", [*of_the_fleet(), *of_the_service()], ids=lambda error: type(error).__name__
)
def test_every_error_is_one_sentence_and_an_exit_code(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    code = ending(error)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.strip()
    assert "Traceback" not in printed.err
    assert printed.err.count("\n") == 1
    assert code in (Exit.REFUSED, Exit.USAGE, Exit.UNREACHABLE)
    if isinstance(error, TEMPORARY):
        assert code == Exit.UNREACHABLE
    if isinstance(error, SettingsError | NotReadyError):
        assert code == Exit.USAGE


def test_a_log_event_is_a_line_that_a_person_can_read(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        structlog.get_logger("shared.cosmos").warning("database_faults", throttled=3)

    reported(work)
    assert caplog.messages == ["warning: database_faults, throttled 3"]


def test_a_fault_of_the_program_is_not_hidden() -> None:
    async def work() -> None:
        raise KeyError("day")

    with pytest.raises(KeyError):
        reported(work)
