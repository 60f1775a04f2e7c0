"""`surveillx doctor`: tries, one step after the other, what a camera PC or a browser does, and says what to mend.

Like the publisher it needs aiortc and httpx only, so that it runs on the camera PC too; without `--server` it looks at
the settings with which `surveillx serve` would start here.
"""

from .command import add_arguments, run

__all__ = ["add_arguments", "run"]
