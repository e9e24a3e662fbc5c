"""Every error that the fleet raises itself. Others of the service are the SDK's: see ``cosmos.retries``.

::

    FleetError
    ├── SettingsError               a setting is missing, wrong, or contradicts the stored state
    ├── NotReadyError               a container is missing, or a right; the message says what to do
    ├── DeadlineError               an invocation or an HTTP request took too long
    ├── DocumentError               a source document is invalid; names the field
    │   └── NewerVersionError       its schema version is newer than this release can read
    ├── ConflictError               another instance changed the shard: read it and fold again
    ├── TooLargeError               more than one transactional batch may hold
    ├── FullError                   a state accepts no more documents; names the state
    ├── MassFailureError            most of a batch failed: the cause is unlikely to be in its documents
    ├── DamagedStateError           documents of view_state are missing, or older than others; names the state
    ├── StaleReadError              the state that was read is older than the published document
    │   └── TransientStaleReadError other instances publish it too, or a replica lags: a later try may succeed
    ├── RefusedError                what an operator asked for cannot be done; the message says what to do
    │   ├── UnknownViewError
    │   ├── MalformedKeyError
    │   ├── GenerationIncompleteError
    │   ├── GenerationNeededError
    │   ├── PoisonNotFoundError
    │   ├── PoisonAmbiguousError
    │   ├── PoisonChangedError
    │   ├── ReplayError
    │   ├── RepairError
    │   ├── MigrationError
    │   ├── ErasureError
    │   ├── RequestNotFoundError
    │   └── PriceError
    ├── BadRequestError             an HTTP request is invalid; names the parameter
    ├── QueryError                  an argument of the web application's queries is invalid
    └── TooManyRowsError            more rows match than the caller accepts
"""

from __future__ import annotations


class FleetError(Exception):
    """Base class of the fleet's errors."""


class SettingsError(FleetError):
    """A setting is missing or wrong. The message is one sentence that names the setting."""


class NotReadyError(FleetError):
    """The fleet cannot work: containers are missing, or a right. The message says what to do."""


class DeadlineError(FleetError):
    """An invocation or an HTTP request took too long. What was committed stays."""


class DocumentError(FleetError):
    """A document is invalid. Names the field, the value and what it must be.

    Parameters
    ----------
    field
        Path of the offending field, ``cost_data.input_tokens``.
    problem
        The rest of the sentence that begins with the field: ``is 0; must be at least 1``. The value is as
        :func:`shared.privacy.forms.quote` returns it.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field
        self.problem = problem


class NewerVersionError(DocumentError):
    """A document has a schema version that is newer than this release can read.

    The version of the document that was counted before stays counted.
    """


class ConflictError(FleetError):
    """Another instance changed the shard after it was read. Read the shard again and fold again."""


class TooLargeError(FleetError):
    """The changes write more than one transactional batch may hold. Fold fewer changes."""


class FullError(FleetError):
    """A state accepts no more documents, so some are not counted. The message says which state.

    Parameters
    ----------
    what
        The state, ``the person's month 202508``.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} has no room for more documents; what was counted before stays counted")


class MassFailureError(FleetError):
    """Most of a batch failed, so that the batch is retried. The message says how the first document failed.

    It is not chained to that error, whose message may quote the document: the host logs what is raised.
    """


class DamagedStateError(FleetError):
    """Documents of ``view_state`` are missing, or older than others. Counting on would count a part.

    Parameters
    ----------
    what
        The state, ``the day 2025-08-05``.
    is_in_ledger
        Whether the ledger's pages, and the sources, have all that makes it again.
    """

    def __init__(self, what: str, *, is_in_ledger: bool = True) -> None:
        remedy = (
            "Run `fleet views rebuild`, then `fleet audit run --from-beginning --delay 0`."
            if is_in_ledger
            else "Set a new FLEET_GENERATION: docs/how-to/start-a-new-generation.md."
        )
        super().__init__(
            f"the state of {what} is damaged: documents of view_state were deleted or restored. {remedy}"
        )


class StaleReadError(FleetError):
    """The state that was read is older than the published document, and a retry cannot help.

    ``view_state`` was restored or emptied under the same generation: set a new ``FLEET_GENERATION``.
    """


class TransientStaleReadError(StaleReadError):
    """What was read is older than what is published or was delivered, and a later try may succeed.

    Other instances publish the same document, or the replica that was read lags.
    """


class RefusedError(FleetError):
    """An operator's command cannot be done. The message says why, and what to do."""


class UnknownViewError(RefusedError):
    """There is no such view. The message names the existing views."""


class MalformedKeyError(RefusedError):
    """No document of the view can have this key. The message shows one that a document can have."""


class GenerationIncompleteError(RefusedError):
    """This generation has not counted everything yet. Its figures would replace earlier ones."""


class GenerationNeededError(RefusedError):
    """The state of this generation may not be removed. The message says why."""


class PoisonNotFoundError(RefusedError):
    """There is no poison document with this id."""


class PoisonAmbiguousError(RefusedError):
    """Several poison documents have an id that begins as given. The message names them."""


class PoisonChangedError(RefusedError):
    """The poison document changed after the decision. The message says how it failed since then."""


class ReplayError(RefusedError):
    """A poison document could not be replayed. The message says why and what to do."""


class RepairError(RefusedError):
    """A source document could not be read or replaced for a repair. The message says why and what to do."""


class MigrationError(RefusedError):
    """Documents cannot be brought to a schema version. The message says why."""


class ErasureError(RefusedError):
    """A person cannot be exported or erased. The message says why and what to do. It names nobody."""


class RequestNotFoundError(RefusedError):
    """There is no request about a person with this id."""


class PriceError(RefusedError):
    """A price is invalid. The message names the model and the field."""


class BadRequestError(FleetError):
    """An HTTP request is invalid. The message names the parameter."""


class QueryError(FleetError, ValueError):
    """An argument of a query is invalid. Names the argument and its value.

    If the value may be an id or a text of a person, the message gives only its type and length.

    Parameters
    ----------
    field
        Name of the argument, ``days``.
    problem
        The problem with it, and what to pass instead.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class TooManyRowsError(FleetError):
    """More rows match than the caller accepts. A caller would mistake a partial list for the complete one."""

    def __init__(self, container_name: str, limit: int) -> None:
        super().__init__(
            f"limit: more than {limit} rows of {container_name} match; "
            "narrow the query, use TOP or OFFSET … LIMIT, or raise the limit"
        )
        self.container_name = container_name
        self.limit = limit


TEMPORARY = (ConflictError, TransientStaleReadError, MassFailureError, DeadlineError)
"""Errors after which a later try may succeed, though no one does anything."""


def line_of(error: FleetError) -> str:
    """Return what went wrong on one line, for the caller of a command or of an HTTP route."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ConflictError | TransientStaleReadError):
        text = f"Other instances changed the same documents meanwhile. Try again: {text}"
    return text
