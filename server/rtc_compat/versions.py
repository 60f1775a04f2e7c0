"""Which versions of aiortc, aioice and pylibsrtp the hooks were written and tested against."""

from __future__ import annotations

import importlib.metadata
import logging

TESTED = {"aiortc": ("1.16.0",), "aioice": ("0.13.0",), "pylibsrtp": ("1.0.0",)}

logger = logging.getLogger("surveillx.rtc")


def warn_if_untested() -> None:
    """Log a warning when a library's version is not one the tests ran with."""
    for package, versions in TESTED.items():
        found = importlib.metadata.version(package)
        if found not in versions:
            logger.warning(
                "%s %s is installed, but this release was tested with %s; if video fails, install that version",
                package,
                found,
                ", ".join(versions),
            )
