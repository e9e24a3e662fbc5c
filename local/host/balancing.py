"""Which leases an instance takes: the .NET processor's equal-partitions strategy, as a pure function."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from local.host.leases import Lease


def select_leases_to_take(
    leases: Iterable[Lease],
    *,
    owner: str,
    process: str,
    now: datetime,
    expiration: float,
    first_round: bool = False,
) -> list[Lease]:
    """Return the leases that this process should take now.

    Every owner with a live lease counts as a worker; each worker is entitled to ``ceil(leases / workers)``.
    An instance below that takes free leases first; where none is free it steals one lease, from the worker
    that has the most, and only if that worker has more than it is entitled to (or has its full share while
    this instance lacks more than one). One at a time, so that two thieves do not empty a third.

    Parameters
    ----------
    expiration
        Seconds after its last write at which a lease is free.
    first_round
        True right after the start: leases that carry this instance's name but another process are what a
        killed predecessor left, and are taken at once rather than after they expire.
    """
    everything = sorted(leases, key=lambda lease: lease.feed_range)
    if not everything:
        return []
    me = (owner, process)
    counts: Counter[tuple[str, str | None]] = Counter({me: 0})
    free: list[Lease] = []
    for lease in everything:
        left_behind = first_round and lease.owner == owner and lease.process != process
        if left_behind or (lease.is_free(now, expiration) and not lease.held_by(owner, process)):
            free.append(lease)
        else:
            counts[_worker(lease)] += 1
    target = max(1, math.ceil(len(everything) / len(counts)))
    needed = target - counts[me]
    if needed <= 0:
        return []
    if free:
        return free[:needed]
    victim, held = max(counts.items(), key=lambda item: (item[1], str(item[0])))
    if victim == me or held <= target - (1 if needed > 1 else 0):
        return []
    return [next(lease for lease in everything if _worker(lease) == victim)]


def _worker(lease: Lease) -> tuple[str, str | None]:
    return (lease.owner or "", lease.process)
