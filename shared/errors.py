"""Every error that the fleet raises itself. Those of the service are the SDK's: see ``cosmos.retries``.

::

    FleetError
    ├── SettingsError               a setting is missing, wrong, or contradicts the stored state
    ├── DocumentError               a source document cannot be processed; names the field
    ├── ConflictError               another instance changed the shard: read it and fold again
    ├── TooLargeError               more than one transactional batch may hold
    ├── StaleReadError              the state that was read is older than the published document
    │   └── TransientStaleReadError other instances publish it too, or a replica lags: a later try may succeed
    ├── RefusedError                what an operator asked for cannot be done; the message says what to do
    │   ├── UnknownViewError
    │   ├── GenerationIncompleteError
    │   ├── PoisonNotFoundError
    │   ├── PoisonChangedError
    │   ├── ReplayError
    │   └── PriceError
    ├── BadRequestError             an HTTP request is not usable; names the parameter
    ├── QueryError                  an argument of the web application's queries is not usable
    └── TooManyRowsError            more rows match than the caller accepts
"""

from __future__ import annotations


class FleetError(Exception):
    """An error that the fleet raises."""


class SettingsError(FleetError):
    """A setting is missing or wrong. The message is one sentence that names the setting."""


class DocumentError(FleetError):
    """A document cannot be processed, through its own fault. Names the field and the value.

    Parameters
    ----------
    field
        Path of the offending field, ``cost_data.input_tokens``.
    problem
        What is wrong with it, with the value as :func:`shared.documents.common.quote` gives it.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class ConflictError(FleetError):
    """Another instance changed the shard since it was read: read it again and fold again."""


class TooLargeError(FleetError):
    """The changes touch more than one transactional batch may hold: fold fewer at a time."""


class StaleReadError(FleetError):
    """The state that was read is older than the published document, and a retry cannot help.

    ``view_state`` was restored or emptied under the same generation: set a new ``FLEET_GENERATION``.
    """


class TransientStaleReadError(StaleReadError):
    """The state that was read is older than the published document, and a later try may succeed.

    Other instances publish the same document, or the replica that was read lags.
    """


class RefusedError(FleetError):
    """What an operator asked for cannot be done. The message says why, and what to do."""


class UnknownViewError(RefusedError):
    """There is no such view. The message names those there are."""


class GenerationIncompleteError(RefusedError):
    """This generation has not counted everything yet; its figures would replace those of an earlier one."""


class PoisonNotFoundError(RefusedError):
    """There is no poison document with this id."""


class PoisonChangedError(RefusedError):
    """The poison document is not what was decided on. The message says how it failed since."""


class ReplayError(RefusedError):
    """A poison document could not be replayed. The message says why and what to do."""


class PriceError(RefusedError):
    """A price is not usable. The message names the model and the field."""


class BadRequestError(FleetError):
    """An HTTP request is not usable. The message names the parameter."""


class QueryError(FleetError, ValueError):
    """An argument of a query is not usable. Names the argument and its value.

    Of a value that may be an id or a text of a person the message gives kind and length only.

    Parameters
    ----------
    field
        Name of the argument, ``days``.
    problem
        What is wrong with it, and what to give instead.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class TooManyRowsError(FleetError):
    """More rows match than the caller accepts. Half a list would be taken for a whole one."""

    def __init__(self, container_name: str, limit: int) -> None:
        super().__init__(
            f"limit: more than {limit} rows of {container_name} match; "
            "narrow the query, use TOP or OFFSET … LIMIT, or raise the limit"
        )
        self.container_name = container_name
        self.limit = limit
