"""The webhook: tells another system of attendance, by signed POST, until it has it.

A side branch with a queue of its own: a system that is slow or away costs nobody anything. Events wait in memory, the
oldest give way when there are too many, and each is tried again until it is taken, refused, or too old. Event loop's
thread only. Nothing but attendance is sent, and no redirect is followed: names go where the configuration says.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import random
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from . import __version__
from .config import Settings
from .events import AttendanceMarked, AttendanceRemoved, Event, EventBus, message
from .metrics import Metrics

SIGNATURE_HEADER = "X-SurveillX-Signature"
EVENTS_WAITING = 1000
ATTEMPT_TIMEOUT_S = 10.0
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 30.0
# Another system may ask for patience, but not for so much that events are lost by it.
LONGEST_RETRY_AFTER_S = 300.0
# One event that its receiver cannot digest must not hold up the others for ever.
GIVE_UP_AFTER_S = 3600.0
# Of the answers that are not 2xx, these and 5xx mean: not now. RFC 9110, section 15.5.9; RFC 8470; RFC 6585.
NOT_NOW = (408, 425, 429)

logger = logging.getLogger("surveillx.webhook")


class Webhook:
    """Sends attendance events one after the other while `run` is running."""

    def __init__(self, settings: Settings, metrics: Metrics, events: EventBus) -> None:
        self._url = httpx.URL(settings.webhook_url)
        self._secret = settings.webhook_secret.encode()
        self._metrics = metrics
        self._events = events
        self._trouble = ""

    async def run(self, ready: asyncio.Event) -> None:
        """Send until cancelled; `ready` is set as soon as no event can be missed."""
        kinds = (AttendanceMarked, AttendanceRemoved)
        with self._events.subscribe(*kinds, lasting=EVENTS_WAITING, on_drop=self._lost) as subscription:
            ready.set()
            try:
                async with httpx.AsyncClient(timeout=ATTEMPT_TIMEOUT_S, headers=_HEADERS) as client:
                    while True:
                        await self._deliver(client, envelope(await subscription.next()))
            finally:
                if len(subscription):
                    logger.warning("%d attendance events were not told to the webhook", len(subscription))

    async def _deliver(self, client: httpx.AsyncClient, body: bytes) -> None:
        began = time.monotonic()
        retry_s = FIRST_RETRY_S
        while True:
            answer = await self._attempt(client, body)
            if answer.is_final:
                self._settled(answer)
                return
            if time.monotonic() - began > GIVE_UP_AFTER_S:
                self._settled(Answer("expired", answer.words))
                return
            self._in_trouble(f"{answer.words}; trying again")
            self._metrics.webhook_retries.inc()
            # Jitter, so that several servers do not come back in step.
            await asyncio.sleep(max(answer.wait_s, retry_s * random.uniform(0.5, 1.0)))  # noqa: S311
            retry_s = min(LONGEST_RETRY_S, 2 * retry_s)

    async def _attempt(self, client: httpx.AsyncClient, body: bytes) -> Answer:
        headers = {SIGNATURE_HEADER: signature(self._secret, body, int(time.time()))}
        try:
            async with (
                asyncio.timeout(ATTEMPT_TIMEOUT_S),
                client.stream("POST", self._url, content=body, headers=headers) as response,  # the answer is not read
            ):
                return judged(response)
        except TimeoutError:
            return Answer("again", f"no answer within {ATTEMPT_TIMEOUT_S:g} s")
        except httpx.HTTPError as error:
            return Answer("again", f"{type(error).__name__}: {error}".rstrip(": "))

    def _settled(self, answer: Answer) -> None:
        self._metrics.webhook_events.labels(answer.outcome).inc()
        if answer.outcome != "delivered":
            self._in_trouble(f"{answer.words}; the event is {answer.outcome}")
        elif self._trouble:
            self._trouble = ""
            logger.info("the webhook at %s takes events again", self._url.host)

    def _in_trouble(self, words: str) -> None:
        """One line for each new kind of trouble; not the URL, which may hold a key."""
        if words != self._trouble:
            self._trouble = words
            logger.warning("the webhook at %s: %s", self._url.host, words)

    def _lost(self) -> None:
        self._metrics.webhook_events.labels("dropped").inc()


@dataclass(frozen=True, slots=True)
class Answer:
    """How an attempt ended: `outcome` delivered, refused, expired or again; `wait_s` is at least how long to wait."""

    outcome: str
    words: str = ""
    wait_s: float = 0.0

    @property
    def is_final(self) -> bool:
        """Whether there is nothing to be tried again."""
        return self.outcome != "again"


def judged(response: httpx.Response) -> Answer:
    """What an answer means."""
    status = response.status_code
    if response.is_success:
        return Answer("delivered")
    if status in NOT_NOW or status >= 500:
        return Answer("again", f"it answered {status}", retry_after_s(response.headers.get("Retry-After", "")))
    if response.is_redirect:
        return Answer("refused", f"it answered {status}, a redirect, which is not followed: set the final address")
    return Answer("refused", f"it answered {status}")


def retry_after_s(value: str) -> float:
    """The header Retry-After in seconds from now (RFC 9110, section 10.2.3: seconds or a date); 0 without one."""
    try:
        wait_s = float(value) if value.isdigit() else (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return 0.0
    return min(max(wait_s, 0.0), LONGEST_RETRY_AFTER_S)


def envelope(event: Event) -> bytes:
    """The body: the event as WebSockets tell it, in an envelope whose `id` stays the same however often it is sent."""
    content = message(event)
    sent = {
        "type": content.pop("type"),
        "id": uuid.uuid4().hex,
        "sent_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "attendance": content,
    }
    return json.dumps(sent).encode()


def signature(secret: bytes, body: bytes, at: int) -> str:
    """The header's value: HMAC-SHA256 over the time (seconds since 1970), a dot and the body."""
    mac = hmac.new(secret, b"%d." % at + body, hashlib.sha256)
    return f"t={at},v1={mac.hexdigest()}"


_HEADERS = {"Content-Type": "application/json", "User-Agent": f"SurveillX/{__version__}"}
