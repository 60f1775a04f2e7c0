"""Every touch of a private name of aiortc and aioice, each with the upstream line it answers to.

Nothing else in the project reaches into these libraries, so an upgrade is checked here: `TESTED` names the versions
the tests ran with, and each hook has a test in `tests/test_rtc_compat.py` that fails without it. All of it runs on the
event loop's thread. Process-wide hooks are put in place and taken back by `installed`.
"""

from .ciphers import name_one_fingerprint
from .closing import close_peer
from .downlink import Downlink, Picture
from .feedback import Feedback
from .h264_profiles import OfferedH264
from .ice import add_public_address, choose_addresses, clean_offer, installed
from .jitter import PromptJitterBuffer
from .media_ports import MediaPorts, PortRange
from .sender_clock import SenderClock
from .shared_port import SharedPort
from .tap import send_rtcp, tap_datagrams, tap_packets, widen
from .uplink import UplinkRepair
from .versions import TESTED, warn_if_untested

__all__ = [
    "TESTED",
    "Downlink",
    "Feedback",
    "MediaPorts",
    "OfferedH264",
    "Picture",
    "PortRange",
    "PromptJitterBuffer",
    "SenderClock",
    "SharedPort",
    "UplinkRepair",
    "add_public_address",
    "choose_addresses",
    "clean_offer",
    "close_peer",
    "installed",
    "name_one_fingerprint",
    "send_rtcp",
    "tap_datagrams",
    "tap_packets",
    "warn_if_untested",
    "widen",
]
