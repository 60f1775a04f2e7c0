"""What a camera may be called in addresses, settings and tokens."""

from __future__ import annotations

import re

from .errors import BadRequest


def require_camera_id(camera_id: str) -> str:
    """Take only what belongs in an address; returns it.

    Raises:
        BadRequest: it is something else.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", camera_id):
        raise BadRequest("A camera id has 1 to 64 letters, digits, dots, dashes or underscores.", reason="camera_id")
    return camera_id
