"""Errors that cross a module's border. Each carries what HTTP needs; one handler in `server.api` renders them."""

from __future__ import annotations

from collections.abc import Mapping


class SurveillxError(Exception):
    """Something a user can understand went wrong; `detail` says what, and what to do next.

    Subclasses set `status` (HTTP) and `title`. `reason` is a stable word for programs, `members` are further facts for
    them (RFC 9457, extension members; JSON values), `headers` go with the response.
    """

    status = 500
    title = "Internal error"

    def __init__(
        self,
        detail: str,
        *,
        reason: str | None = None,
        members: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason
        self.members = dict(members or {})
        self.headers = dict(headers or {})


class BadRequest(SurveillxError):
    """The request cannot be understood."""

    status = 400
    title = "Bad request"


class Unauthorized(SurveillxError):
    """No token, or a wrong one."""

    status = 401
    title = "Sign-in needed"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class Forbidden(SurveillxError):
    """Signed in, but not for this."""

    status = 403
    title = "Not allowed"


class NotFound(SurveillxError):
    """There is no such thing."""

    status = 404
    title = "Not found"


class TooSlow(SurveillxError):
    """The body does not come (RFC 9110 section 15.5.9)."""

    status = 408
    title = "Too slow"


class Conflict(SurveillxError):
    """The thing exists and is in a state that does not allow this."""

    status = 409
    title = "Conflict"


class TooLarge(SurveillxError):
    """The body is over its limit."""

    status = 413
    title = "Too large"


class UnsupportedMediaType(SurveillxError):
    """The content type is not one the route takes."""

    status = 415
    title = "Unsupported media type"


class TooManyRequests(SurveillxError):
    """This address asks too often, or holds too much; `headers` carry Retry-After (RFC 6585 section 4)."""

    status = 429
    title = "Too many requests"


class Unprocessable(SurveillxError):
    """Well-formed, but its content cannot serve; `reason` says why in a word."""

    status = 422
    title = "Cannot be used"


class Unavailable(SurveillxError):
    """Not now; `headers` may carry Retry-After."""

    status = 503
    title = "Not available now"


class ConfigError(SurveillxError):
    """A setting is wrong. Raised at start-up only; names the key and the value."""

    title = "Wrong setting"
