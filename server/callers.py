"""Who asks, and what they may do: roles, rights, and the one place that says yes or no."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from .errors import Forbidden, Unauthorized

Right = Literal["view", "publish", "staff", "metrics", "admin"]
Role = Literal["viewer", "staff", "admin"]

ROLES: Mapping[Role, frozenset[Right]] = {
    "viewer": frozenset({"view"}),
    "staff": frozenset({"view", "staff", "metrics"}),
    "admin": frozenset({"view", "staff", "metrics", "admin", "publish"}),
}

# What a token may be good for: like a role, or for one thing only.
SCOPES: Mapping[str, frozenset[Right]] = {
    "view": ROLES["viewer"],
    "staff": ROLES["staff"],
    "admin": ROLES["admin"],
    "publish": frozenset({"publish"}),
    "metrics": frozenset({"metrics"}),
}

_REFUSALS: Mapping[Right, str] = {
    "view": "You may not watch this camera.",
    "publish": "You may not publish this camera's picture.",
    "staff": "This is for staff. Ask an administrator for the role.",
    "metrics": "You may not read the metrics.",
    "admin": "This is for administrators.",
}
_NEEDS: Mapping[Right, str] = {
    "publish": "Publishing needs a token: `surveillx token add NAME --scope publish --camera ID` on the server makes "
    "one, or SURVEILLX_PUBLISH_TOKEN sets one for all cameras.",
}
_SIGN_IN = "Sign in first."


@dataclass(frozen=True)
class Caller:
    """Somebody who asks. `credential` names what was shown, never the secret itself; empty where nothing was.

    `cameras` are those that `view` and `publish` are limited to; None is all. `expires_at` in seconds since 1970.
    """

    name: str
    rights: frozenset[Right]
    cameras: frozenset[str] | None = None
    credential: str = ""
    expires_at: float | None = None

    def may(self, right: Right, camera_id: str | None = None) -> bool:
        """Whether the right is there, for that camera where one is named; not whether it has expired."""
        return right in self.rights and (camera_id is None or self.cameras is None or camera_id in self.cameras)

    @property
    def is_expired(self) -> bool:
        """Whether the time is over."""
        return self.expires_at is not None and self.expires_at <= time.time()


#: Whose request is being answered, for the audit: set where the caller is found, read where the database is changed.
acting: ContextVar[str] = ContextVar("acting", default="")

ANYONE = Caller("anyone", ROLES["admin"])  #: everybody, where nothing needs a credential


def allow(caller: Caller, right: Right, camera_id: str | None = None) -> None:
    """Let pass who may; with `camera_id`, once that camera is known to exist.

    Raises:
        Unauthorized: nothing was shown, and it needs something. Forbidden: what was shown is not for this.
    """
    if caller.may(right, camera_id):
        return
    if not caller.credential:
        raise Unauthorized(_NEEDS.get(right, _SIGN_IN))
    raise Forbidden(_REFUSALS[right], reason="not_allowed")


def allow_owner(caller: Caller, owner: Caller) -> None:
    """Let pass whose session it is, and administrators.

    Raises:
        Unauthorized, Forbidden: somebody else's.
    """
    if caller.credential == owner.credential or caller.may("admin"):
        return
    if not caller.credential:
        raise Unauthorized(_SIGN_IN)
    raise Forbidden("This is another's connection.", reason="not_yours")
