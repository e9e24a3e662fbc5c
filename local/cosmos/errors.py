"""The service's errors: status, sub-status, code and message, in the shape its clients parse."""

from __future__ import annotations

from typing import Any

import orjson

PARTITION_KEY_MISMATCH = 1001
CROSS_PARTITION_QUERY_NOT_SERVABLE = 1004
PARTITION_KEY_RANGE_GONE = 1002
READ_SESSION_NOT_AVAILABLE = 1002
OWNER_NOT_FOUND = 1003
COLLECTION_RID_MISMATCH = 1024
THROUGHPUT_EXCEEDED = 3200

CODES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "RequestTimeout",
    409: "Conflict",
    410: "Gone",
    412: "PreconditionFailed",
    413: "RequestEntityTooLarge",
    424: "FailedDependency",
    429: "TooManyRequests",
    500: "InternalServerError",
    501: "NotImplemented",
    503: "ServiceUnavailable",
}


class ServiceError(Exception):
    """An answer that is an error.

    Parameters
    ----------
    status, message, sub_status
        As the service gives them.
    charge
        Request units the failed request cost.
    headers
        Further response headers.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        sub_status: int = 0,
        charge: float = 1.0,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.sub_status = sub_status
        self.charge = charge
        self.headers = headers or {}

    def body(self, activity_id: str) -> bytes:
        """Return the response body."""
        errors = orjson.dumps([self.message]).decode()
        document: dict[str, Any] = {
            "code": CODES.get(self.status, "Error"),
            "message": f'Message: {{"Errors":{errors}}}\r\nActivityId: {activity_id}',
        }
        return orjson.dumps(document)


def bad_request(message: str, sub_status: int = 0) -> ServiceError:
    """The request is malformed, or asks for what the service refuses."""
    return ServiceError(400, message, sub_status=sub_status)


def not_found(message: str = "Resource Not Found.") -> ServiceError:
    """There is no such resource."""
    return ServiceError(404, message)


def conflict(message: str = "Resource with specified id or name already exists.") -> ServiceError:
    """There is a resource with this id already."""
    return ServiceError(409, message)


def precondition_failed() -> ServiceError:
    """The resource was changed, or not, contrary to what the request demands."""
    return ServiceError(412, "One of the specified pre-condition is not met.")


def too_large(message: str = "Request size is too large.") -> ServiceError:
    """The item or the batch is beyond the service's limit."""
    return ServiceError(413, message)


def unsupported(what: str) -> ServiceError:
    """The service can do it; this server does not."""
    return ServiceError(400, f"{what}: not supported by the local server.")
