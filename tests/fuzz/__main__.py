"""Runs one target until its time is over or something breaks; libFuzzer's options follow the target's name."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["server", "aioice", "aiortc"]):
    from .targets import TARGETS


def main() -> None:
    """Attack the target that is named."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz {{{','.join(TARGETS)}}} [-max_total_time=SECONDS]")
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
