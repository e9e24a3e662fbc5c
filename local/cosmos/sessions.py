"""Session tokens: the sequence number that a client has seen of a physical partition."""

from __future__ import annotations

import re

from local.cosmos.errors import READ_SESSION_NOT_AVAILABLE, ServiceError, bad_request
from local.cosmos.partitioning import PhysicalPartition

_TOKEN = re.compile(r"(?P<partition>\d+):(?:-?\d+#)?(?P<lsn>\d+)(?:#\d+=-?\d+)*")


def session_token(partition: PhysicalPartition) -> str:
    """Return the token of a physical partition as it is now."""
    return f"{partition.id}:-1#{partition.lsn.value}"


def check_session(partition: PhysicalPartition, token: str) -> None:
    """Refuse a read by a client that has seen more of a physical partition, or of a parent, than there is.

    That happens when the database was put back to an earlier state under a running client.

    Raises
    ------
    ServiceError
        404 with sub-status 1002: the state that was seen is not there; 400: the token cannot be read.
    """
    for part in filter(None, token.split(",")):
        match = _TOKEN.fullmatch(part.strip())
        if match is None:
            raise bad_request(f"The session token {part[:80]!r} is not valid.")
        if (
            match["partition"] in (partition.id, *partition.parents)
            and int(match["lsn"]) > partition.lsn.value
        ):
            raise ServiceError(
                404,
                "The read session is not available for the input session token.",
                sub_status=READ_SESSION_NOT_AVAILABLE,
            )
