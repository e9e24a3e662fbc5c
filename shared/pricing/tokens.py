"""The tokens of one call, by kind. No token is counted in two kinds."""

from __future__ import annotations

from typing import NamedTuple


class Tokens(NamedTuple):
    """The tokens of one call, each in the kind by which it is charged.

    Attributes
    ----------
    input
        Fresh: the prompt without what came from a cache, and what tools returned to the model.
    cached
        Read from a cache.
    cache_written
        Written into a cache.
    output
        The answer, without thinking.
    thinking
        What the model thought before it answered.
    """

    input: int
    cached: int
    cache_written: int
    output: int
    thinking: int

    @property
    def prompt(self) -> int:
        """Length of the prompt, which decides the tier of a price."""
        return self.input + self.cached + self.cache_written
