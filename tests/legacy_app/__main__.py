"""Run with `python -m tests.legacy_app PORT`. GET /counts tells what came in."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, render_template, send_file
from flask_socketio import SocketIO

CLIENT_SCRIPT = Path(__file__).parents[2] / "node_modules" / "socket.io-client" / "dist" / "socket.io.min.js"

app = Flask(__name__)
# Threads and the default (same-origin) CORS rule, as the school runs it. Its handlers return nothing.
socketio = SocketIO(app, async_mode="threading")
counts: Counter[str] = Counter()
newest: dict[str, Any] = {}
held = threading.Event()
held.set()


@app.get("/")
def page() -> str:
    return render_template("dashboard.html")


@app.get("/socket.io.min.js")
def script() -> Response:
    return send_file(CLIENT_SCRIPT)


@app.get("/counts")
def show_counts() -> Response:
    return jsonify(counts)


@app.get("/newest/<event>")
def show_newest(event: str) -> Response:
    return jsonify(newest.get(event))


@app.post("/hold")
def hold() -> str:
    """Handlers hang from now on, as when the school's database is locked."""
    held.clear()
    return ""


@app.post("/release")
def release() -> str:
    held.set()
    return ""


def handle_frame(data: dict[str, Any]) -> None:
    _record("frame", data)


def handle_detection(data: dict[str, Any]) -> None:
    _record("detection", data)


def _record(event: str, data: dict[str, Any]) -> None:
    counts[event] += 1
    newest[event] = data
    held.wait()
    socketio.emit(event, data, namespace="/stream", include_self=False)


socketio.on_event("frame", handle_frame, namespace="/stream")
socketio.on_event("detection", handle_detection, namespace="/stream")

if __name__ == "__main__":
    socketio.run(app, host="127.0.0.1", port=int(sys.argv[1]), allow_unsafe_werkzeug=True)
