"""Retry policies of functions: how often an invocation is tried again, and after which pause."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from local.host.errors import HostStartError

UNLIMITED = -1
CLOCK_TIME = re.compile(r"^([01]?\d|2[0-3]):([0-5]?\d):([0-5]?\d)$")
"""How the Python worker reads an interval (``convert_to_seconds``): whole seconds, less than a day."""
RANDOMIZATION = 0.2
"""Spread of an exponential pause, as in the WebJobs SDK: between 0.8 and 1.2 times its increment."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """A function's ``@app.retry``. All pauses are in seconds."""

    strategy: Literal["fixed_delay", "exponential_backoff"]
    max_retry_count: int
    """Retries after the first attempt; -1 is unlimited."""
    delay: float = 0.0
    minimum: float = 0.0
    maximum: float = 0.0

    def allows(self, retry: int) -> bool:
        """Say whether the retry number ``retry`` (the first is 1) may take place."""
        return self.max_retry_count == UNLIMITED or retry <= self.max_retry_count

    def pause_before(self, retry: int, spread: random.Random) -> float:
        """Return the seconds to wait before the retry number ``retry`` (the first is 1)."""
        if self.strategy == "fixed_delay":
            return self.delay
        if retry <= 1:
            return self.minimum
        # 2 ** 40 times any minimum is beyond every maximum; the bound keeps the power finite.
        factor = float(2 ** min(retry - 1, 40) - 1)
        randomized = spread.uniform(1 - RANDOMIZATION, 1 + RANDOMIZATION)
        return min(self.maximum, self.minimum + self.minimum * factor * randomized)


def parse_retry_policy(function: str, setting: Mapping[str, Any] | None) -> RetryPolicy | None:
    """Read what ``@app.retry`` stored on a function; None where it has no policy.

    Raises
    ------
    HostStartError
        A value the platform's own indexing would refuse.
    """
    if setting is None:
        return None
    strategy = str(setting.get("strategy", ""))  # the worker takes it as it is written
    count = _count(function, setting.get("max_retry_count"))
    if strategy == "fixed_delay":
        return RetryPolicy("fixed_delay", count, delay=_seconds(function, setting, "delay_interval"))
    if strategy == "exponential_backoff":
        minimum = _seconds(function, setting, "minimum_interval")
        maximum = _seconds(function, setting, "maximum_interval")
        if minimum > maximum:
            raise HostStartError(
                f"The retry policy of function {function} has a minimum_interval above its maximum_interval."
            )
        return RetryPolicy("exponential_backoff", count, minimum=minimum, maximum=maximum)
    raise HostStartError(
        f"The retry strategy {strategy!r} of function {function} is unknown; "
        "use fixed_delay or exponential_backoff."
    )


def _count(function: str, value: Any) -> int:
    try:
        count = int(str(value))
    except ValueError:
        count = UNLIMITED - 1
    if count < UNLIMITED:
        raise HostStartError(
            f"max_retry_count {value!r} of function {function} must be a whole number, or -1 for unlimited."
        )
    return count


def _seconds(function: str, setting: Mapping[str, Any], name: str) -> float:
    value = setting.get(name)
    if value is None:
        raise HostStartError(f"The retry policy of function {function} needs {name}, like '00:00:05'.")
    match = CLOCK_TIME.match(str(value))
    if match is None:
        raise HostStartError(
            f"The retry policy of function {function}: {name} is {str(value)!r}; the Python worker reads "
            "hours:minutes:seconds below a day, like '00:00:05', and no fractions."
        )
    hours, minutes, seconds = (int(part) for part in match.groups())
    return float(hours * 3_600 + minutes * 60 + seconds)
