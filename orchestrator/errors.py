"""Errors that a person may see, as one tree.

    GloveboxError                 status, code, title; `str(error)` is the detail, written for the person
    ├── NotFound                  404  session_not_found, file_not_found, …
    ├── Conflict                  409  turn_running, …
    ├── BadRequest                400/422 bad_path, unknown_profile, …
    ├── Unauthorized              401
    ├── Forbidden                 403  wrong host or origin, read_only, admins_only
    ├── TooManyRequests           429  too_many_tries, host_full, quota_reached
    ├── DiskFull                  507  the profile's disk limit, or the person's quota, is reached
    ├── DatabaseUnavailable       503  the database is busy, away or full
    ├── SandboxUnavailable        503  no Docker, no image, a container that will not start
    └── ModelUnavailable          502/503  no key, a wrong key, a provider that does not answer

Failed user code is data (a cell's status), never one of these.
"""

from http import HTTPStatus


class GloveboxError(Exception):
    """An error with a stable `code`, an HTTP `status` and a detail for the person who made the request."""

    status: int = HTTPStatus.INTERNAL_SERVER_ERROR
    code: str = "internal_error"
    title: str = "Something went wrong inside Glovebox"

    def __init__(self, detail: str, *, code: str | None = None, title: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.title = title or self.title

    def as_problem(self) -> dict[str, object]:
        """Return this error as an RFC 9457 problem document."""
        return {
            "type": f"urn:glovebox:problem:{self.code}",
            "title": self.title,
            "status": int(self.status),
            "detail": self.detail,
            "code": self.code,
        }


class NotFound(GloveboxError):
    """The thing asked for does not exist, or is not this user's."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"
    title = "There is no such thing"


class SessionNotFound(NotFound):
    """No session of this user has that id."""

    code = "session_not_found"
    title = "There is no such session"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"No session has the id {session_id[:64]!r}.")


class FileMissing(NotFound):
    """No regular file is at that path of the workspace."""

    code = "file_not_found"
    title = "There is no such file"


class Conflict(GloveboxError):
    """The request does not fit what is going on right now."""

    status = HTTPStatus.CONFLICT
    code = "conflict"
    title = "That does not fit what is going on"


class BadRequest(GloveboxError):
    """The request makes no sense as it is."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "bad_request"
    title = "The request makes no sense as it is"


class BadPath(BadRequest):
    """A file name that cannot be used."""

    code = "bad_path"
    title = "That file name cannot be used"


class Unauthorized(GloveboxError):
    """No token, a wrong one, or a wrong password."""

    status = HTTPStatus.UNAUTHORIZED
    code = "unauthorized"
    title = "A valid token is needed"


class TooManyRequests(GloveboxError):
    """It was tried too often; the same may work after a while."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_requests"
    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after_s: float, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after_s = retry_after_s


class Forbidden(GloveboxError):
    """The request came by a way that is not allowed (host, origin), or asks for what this person may not do."""

    status = HTTPStatus.FORBIDDEN
    code = "forbidden"
    title = "The request came by a way that is not allowed"


class DiskFull(GloveboxError):
    """The session's disk limit does not allow this much more."""

    status = HTTPStatus.INSUFFICIENT_STORAGE
    code = "disk_full"
    title = "The session's disk is full"


class DatabaseUnavailable(GloveboxError):
    """The database is busy, away or full; the detail says whether anything was stored."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "database_unavailable"
    title = "The database cannot be used right now"


class SandboxUnavailable(GloveboxError):
    """No sandbox could be started or reached: Docker, image, runtime or the container itself."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "sandbox_unavailable"
    title = "No sandbox can be started right now"


class SandboxLost(SandboxUnavailable):
    """The sandbox or its kernel went away in the middle of something."""

    code = "sandbox_lost"
    title = "The sandbox went away"


class ModelUnavailable(GloveboxError):
    """The model cannot be asked: no key, a wrong key, a provider that fails."""

    status = HTTPStatus.BAD_GATEWAY
    code = "model_unavailable"
    title = "The model did not answer"


class ConfigError(GloveboxError):
    """The config file is wrong; the detail names each key, its value and what is allowed."""

    code = "config_error"
    title = "The config cannot be used"
