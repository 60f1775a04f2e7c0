"""The server with readings that a test writes down, instead of a machine that a test would have to wear out.

`python -m tests.e2e.busy_server PORT DATA READINGS`: the last is a JSON file with the fields of `Reading`. Its governor
is in a hurry. All else is the real thing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import uvicorn

from server import overload
from server.app import create_app
from server.config import Settings
from server.governor import Governor, Patience, Reading

HURRIED = Patience(strain_s=0.5, recognition_s=0.5, ease_s=0.5, longest_ease_s=0.5)


def main(port: str, data: str, readings: str) -> None:
    overload.READ_EVERY_S = 0.1
    app = create_app(Settings(data=Path(data), port=int(port), interfaces=("127.0.0.1",)))
    watched = app.state.parts.overload
    watched.governor = Governor(recognises=True, patience=HURRIED)
    watched.read = lambda: Reading(**json.loads(Path(readings).read_text()))
    uvicorn.run(app, port=int(port), log_level="info")


if __name__ == "__main__":
    main(*sys.argv[1:4])
