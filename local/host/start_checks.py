"""What a host needs to know before it starts, from its configuration and the app's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from local.host.bindings import CosmosTrigger, FunctionSpec
from local.host.errors import HostStartError

Place = tuple[str, str, str]
"""Connection setting, database and container."""


def timer_place(
    functions: Sequence[FunctionSpec],
    settings: Mapping[str, str],
    *,
    connection: str,
    database_setting: str,
    container: str,
) -> Place:
    """Say where timer locks lie: beside the leases of the first Cosmos DB trigger, else as given.

    Raises
    ------
    HostStartError
        The app has no such trigger, and the setting that names the database is not set.
    """
    for spec in functions:
        if isinstance(spec.trigger, CosmosTrigger):
            trigger = spec.trigger
            return trigger.lease_connection, trigger.lease_database, trigger.lease_container
    database = settings.get(database_setting)
    if not database:
        raise HostStartError(
            f"The setting {database_setting} is not set; the timers of this app need a database for "
            "their locks."
        )
    return connection, database, container


def number_or(settings: Mapping[str, str], name: str, default: int) -> int:
    """Return a setting that is a positive whole number, or the default where it is not set."""
    text = settings.get(name)
    if not text:
        return default
    if not text.isdigit() or int(text) < 1:
        raise HostStartError(f"The setting {name} is {text!r}; it must be a positive whole number.")
    return int(text)


def known_losses(lose_batches: Mapping[str, int], functions: Sequence[FunctionSpec]) -> Mapping[str, int]:
    """Return the injected losses; :class:`HostStartError` where one names a function that does not exist."""
    names = {spec.name for spec in functions}
    for name, count in lose_batches.items():
        if name not in names:
            raise HostStartError(
                f"lose_batches names the function {name}, which does not exist; there are {sorted(names)}."
            )
        if count < 0:
            raise HostStartError(f"lose_batches of {name} is {count}; it must not be negative.")
    return lose_batches
