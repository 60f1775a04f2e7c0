"""Reading and writing the name-mangled attributes of aiortc's senders and receivers."""

from __future__ import annotations

from typing import Any

from aiortc import RTCRtpReceiver, RTCRtpSender


def private(owner: RTCRtpSender | RTCRtpReceiver, name: str) -> Any:
    """The attribute that `owner`'s class calls `self.__name`."""
    return getattr(owner, f"_{type(owner).__name__}__{name}")


def set_private(owner: RTCRtpSender | RTCRtpReceiver, **values: object) -> None:
    """Set attributes that `owner`'s class calls `self.__name`."""
    for name, value in values.items():
        setattr(owner, f"_{type(owner).__name__}__{name}", value)
