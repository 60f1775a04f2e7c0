"""The camera PC's client: takes pictures from a camera, a file or a network camera and publishes them over WebRTC.

It imports no other module of the server, so that a Windows PC needs aiortc, av and httpx and nothing more. The event
loop does the network; pictures come from one thread of `capture`; aiortc encodes in the loop's executor.
"""

from .capture import Capture, FeedSource
from .command import add_arguments, run
from .devices import CameraDevice, Mode, SourceError, list_cameras
from .feeds import Feed
from .publisher import Publisher, PublisherSettings, new_event_loop

__all__ = [
    "CameraDevice",
    "Capture",
    "Feed",
    "FeedSource",
    "Mode",
    "Publisher",
    "PublisherSettings",
    "SourceError",
    "add_arguments",
    "list_cameras",
    "new_event_loop",
    "run",
]
