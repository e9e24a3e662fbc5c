"""Whether the tests run against an account."""


def is_live() -> bool:
    """Say yes: nothing is recorded."""
    return True


is_live._cache = True  # type: ignore[attr-defined]  # the tests look here
