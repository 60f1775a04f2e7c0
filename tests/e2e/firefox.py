"""Firefox, driven over WebDriver BiDi (https://w3c.github.io/webdriver-bidi/) without any driver program.

Playwright has a Firefox of its own, patched; schools have Mozilla's. What is here is what the tests need: open an
address, run a script, press a key, take a screenshot.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from ..wait import until_sync

START_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 30.0
LISTENING = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
PREFERENCES: Mapping[str, bool | int | str] = {
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "app.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "media.gmp-manager.updateEnabled": False,
}


def installed() -> str | None:
    """The path of Firefox, or None."""
    return shutil.which("firefox-esr") or shutil.which("firefox")


class BidiError(Exception):
    """Firefox refused a command, or the script failed; the text says why."""


class Firefox:
    """One window."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self.version = str(self._send("session.new", capabilities={})["capabilities"]["browserVersion"])
        self._context = self._send("browsingContext.getTree")["contexts"][0]["context"]

    def _send(self, method: str, **parameters: object) -> Any:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._connection.recv(ANSWER_TIMEOUT_S))
            if answer.get("id") == number:  # all else are events, to which nobody has subscribed
                break
        if answer["type"] == "error":
            raise BidiError(f"{method}: {answer['error']}, {answer['message']}")
        return answer["result"]

    def goto(self, url: str) -> None:
        """Open an address and wait until it has loaded."""
        self._send("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, function: str) -> Any:
        """Call a function of the page (JavaScript, may be async); what it returns, as JSON.

        Raises:
            BidiError: it failed.
        """
        result = self._send(
            "script.callFunction",
            functionDeclaration=f"async () => JSON.stringify(await ({function})() ?? null)",
            target={"context": self._context},
            awaitPromise=True,
        )
        if result["type"] == "exception":
            raise BidiError(result["exceptionDetails"]["text"])
        return json.loads(result["result"]["value"])

    def press(self, key: str) -> None:
        """Press and release a key: a letter, or a code point of WebDriver's (section 17.4.2)."""
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        keyboard = {"type": "key", "id": "keyboard", "actions": actions}
        self._send("input.performActions", context=self._context, actions=[keyboard])

    def screenshot(self, file: Path) -> None:
        """Write the window's picture to a PNG file."""
        data = self._send("browsingContext.captureScreenshot", context=self._context)["data"]
        file.write_bytes(base64.b64decode(data))


@contextmanager
def firefox(preferences: Mapping[str, bool | int | str] | None = None) -> Iterator[Firefox]:
    """A headless Firefox with a profile of its own inside the block."""
    program = installed()
    assert program is not None, "no Firefox: tools/system_packages.sh installs it"
    with tempfile.TemporaryDirectory(prefix="surveillx-firefox-", ignore_cleanup_errors=True) as folder:
        wanted = {**PREFERENCES, **(preferences or {})}
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in wanted.items()]
        (Path(folder) / "user.js").write_text("\n".join(lines))
        log = Path(folder) / "log"
        with log.open("wb") as output:
            command = [program, "--headless", "--no-remote", "--profile", folder, "--remote-debugging-port", "0"]
            process = subprocess.Popen(
                [*command, "about:blank"], stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "HOME": folder}
            )
        try:
            found = until_sync(lambda: LISTENING.search(log.read_text()), START_TIMEOUT_S, "Firefox listens")
            assert found is not None
            with connect(f"{found[1]}/session", max_size=None, proxy=None) as connection:
                yield Firefox(connection)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
