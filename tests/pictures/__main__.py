"""``make pictures``: run a small stack, and draw what commands print on a terminal into docs/pictures."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from io import FileIO, StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

from local.seed.command import seed_database
from local.seed.traffic import TrafficPlan
from local.settle import settle
from local.stack import Stack, StackConfig, running_stack
from shared.clock import SYSTEM_CLOCK
from terminal.output import note

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"

COLUMNS = 92
"""As wide as a picture may be to be read in a README."""

PLAN = TrafficPlan(
    users=40,
    interactions=1_500,
    days=7,
    seed=1,
    until=SYSTEM_CLOCK.now().date() - timedelta(days=1),
    malformed_share=0.01,
)

COMMANDS = {
    "doctor": ("doctor",),
    "metrics": ("metrics", "day", "{day}"),
    "poison": ("poison", "groups"),
    "cost": ("cost", "estimate", "--users", "10000", "--interactions-per-day", "10000"),
}
"""What ``fleet`` is asked, by the name of the picture."""


async def draw(folder: Path) -> None:
    """Start a stack, let it process some days, and draw every command."""
    async with running_stack(StackConfig(folder, 1)) as stack:
        await stack.alongside(_process(stack))
        for name, words in COMMANDS.items():
            arguments = [word.format(day=PLAN.until.isoformat()) for word in words]
            printed = await asyncio.to_thread(on_a_terminal, stack, arguments)
            (PICTURES / f"{name}.svg").write_text(picture(arguments, printed), encoding="utf-8")
            note(f"docs/pictures/{name}.svg")


async def _process(stack: Stack) -> None:
    await seed_database(stack.connection, PLAN)
    if not (await settle(stack.connection, timeout=300)).drained:
        raise TimeoutError("the stack did not process its traffic in time")


def on_a_terminal(stack: Stack, arguments: list[str]) -> str:
    """Return what ``fleet`` prints on a terminal, with its colours."""
    environment = os.environ | stack.connection.environment() | {"COLUMNS": str(COLUMNS), "TERM": "xterm"}
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "ops", *arguments]
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(command, stdout=its, stderr=its, env=environment, cwd=ROOT)
        os.close(its)
        printed = b"".join(_until_it_ends(terminal))
        process.wait()
    return printed.decode("utf-8")


def _until_it_ends(terminal: FileIO) -> Iterator[bytes]:
    with suppress(OSError):  # on Linux, what a terminal answers after its last program has ended
        while data := terminal.read(65_536):
            yield data


def picture(arguments: list[str], printed: str) -> str:
    """Return a picture of a terminal as SVG."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text(f"$ fleet {' '.join(arguments)}", style="bold"))
    console.print(Text.from_ansi(printed.replace("\r\n", "\n").rstrip()))
    drawn = console.export_svg(title="fleet", unique_id="fleet")
    return re.sub(r"@font-face \{.*?\}\n", "", drawn, flags=re.DOTALL)  # a reader's browser fetches nothing


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fleet-pictures-") as temporary:
        asyncio.run(draw(Path(temporary)))
