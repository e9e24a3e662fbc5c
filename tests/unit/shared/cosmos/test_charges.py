"""What work is charged: each piece its own, and the whole all of it."""

from __future__ import annotations

import asyncio

from shared.cosmos.charges import measured_cost, record_charge


def call(request_units: float) -> None:
    record_charge({"x-ms-request-charge": str(request_units)})


async def test_what_a_part_is_charged_is_charged_to_the_whole() -> None:
    async def part(request_units: float) -> float:
        with measured_cost() as own:
            await asyncio.sleep(0)
            call(request_units)
            with measured_cost():
                call(1)
        return own.request_units

    with measured_cost() as whole:
        call(10)
        parts = await asyncio.gather(part(2), part(3))
    assert parts == [3, 4]
    assert (whole.requests, whole.request_units) == (5, 17)


def test_nothing_is_charged_where_nobody_asks() -> None:
    call(5)
    with measured_cost() as charge:
        pass
    call(5)
    assert (charge.requests, charge.request_units) == (0, 0)
