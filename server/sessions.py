"""Sessions: one negotiated peer connection each, with all it owns, from the offer to the close.

A session runs as one task of the registry. It opens what it needs, waits under a deadline at every step, and closes
everything when it ends, whatever the reason. Callbacks of aiortc only set events. Event loop's thread only.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import ClassVar

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av.video.frame import VideoFrame

from .annotate import PictureKind
from .callers import ANYONE, Caller, Right
from .camera import Camera, Cameras
from .config import Settings
from .errors import BadRequest, Conflict, NotFound, TooManyRequests, Unavailable, Unprocessable
from .events import EventBus, ViewerChanged
from .heap import give_back_after
from .limits import Kind, Place, require_room
from .metrics import Metrics
from .renditions import RenditionName
from .rtc_compat import (
    Downlink,
    MediaPorts,
    OfferedH264,
    SenderClock,
    UplinkRepair,
    add_public_address,
    choose_addresses,
    clean_offer,
    close_peer,
    name_one_fingerprint,
)
from .sdp import Direction, check_offer, needs_any_h264
from .timing import Origin
from .trickle import Fragment, RemoteIce
from .viewing import Viewing

logger = logging.getLogger("surveillx.sessions")

PICTURE_REQUEST_S = 1.0
NO_SESSION = "There is no such session; it may have ended already."


@dataclass(frozen=True)
class Opened:
    """A session that was just opened: its id, the answer, and the ETag of its ICE session."""

    session_id: str
    sdp: str
    etag: str


class Session(ABC):
    """What publisher and viewer sessions share: negotiation, deadlines, close."""

    kind: ClassVar[Kind]
    right: ClassVar[Right]
    peer_direction: ClassVar[Direction]
    codecs: ClassVar[tuple[str, ...]]

    def __init__(self, camera: Camera, settings: Settings, owner: Caller = ANYONE, address: str = "") -> None:
        self.id = secrets.token_urlsafe(16)
        self.camera = camera
        self.owner = owner
        self.address = address
        self.ice: RemoteIce  # from `accept` on
        self.closed = asyncio.Event()
        self.has_connected = False
        self._settings = settings
        # No ICE servers: the default is a public STUN server, and waiting for one holds up every answer.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("connectionstatechange", self._on_state)
        self._state_changed = asyncio.Event()
        self._stop = asyncio.Event()
        self._reason = ""

    async def accept(self, offer_sdp: str, ports: MediaPorts) -> str:
        """Answer an offer that `check_offer` has passed; the answer holds all our candidates, on `ports`.

        Raises:
            BadRequest: aiortc finds a fault that the gate did not. Unavailable: no port is free.
        """
        try:
            self._prepare()
            self.ice = RemoteIce(offer_sdp)
            await self._peer.setRemoteDescription(
                RTCSessionDescription(self._understood(clean_offer(offer_sdp)), "offer")
            )
            for transceiver in self._peer.getTransceivers():
                if transceiver.kind == "audio":
                    transceiver.direction = "inactive"  # nobody would drain it
            self._negotiated()
            ports.use(self._peer)
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except Exception as error:  # aiortc answers odd offers with whatever its code runs into
            # What the error says may quote the offer, which holds the peer's ICE password.
            logger.info("session %s: the offer was refused by aiortc: %s", self.id, type(error).__name__)
            logger.debug("session %s", self.id, exc_info=error)
            raise BadRequest("The offer cannot be served: it is not a complete WebRTC offer.", reason="sdp") from error
        answer = self._told(name_one_fingerprint(self._peer.localDescription.sdp))
        if "a=candidate:" not in answer:
            raise Unavailable(
                "No UDP port is free for another connection; the server's log says more.", headers={"Retry-After": "10"}
            )
        public = self._settings.public_address
        return add_public_address(answer, public) if public else answer

    async def trickle(self, fragment: Fragment) -> None:
        """Take the peer's later candidates.

        Raises:
            BadRequest: the fragment does not fit the offer. Unprocessable: it asks for an ICE restart.
        """
        if self.ice.is_restart(fragment):
            raise Unprocessable(
                "This server cannot restart ICE; the session goes on as it is. If it has lost its connection, open "
                "a new one.",
                reason="ice_restart",
            )
        for candidate in self.ice.take(fragment):
            await self._peer.addIceCandidate(candidate)

    async def run(self) -> None:
        """Live until the peer goes, a deadline passes or `stop` is called; then free everything."""
        life = asyncio.create_task(self._live(), name=f"surveillx-life-{self.id}")
        stop = asyncio.create_task(self._stop.wait(), name=f"surveillx-stop-{self.id}")
        try:
            await asyncio.wait({life, stop}, return_when=asyncio.FIRST_COMPLETED)
            self._reason = self._reason or (life.result() if life.done() else "")
        finally:
            for task in (life, stop):
                task.cancel()
            await asyncio.gather(life, stop, return_exceptions=True)
            self._reason = self._reason or "the server is stopping"
            self._release(self._reason)
            await close_peer(self._peer, self._settings.close_timeout_s)
            logger.info(
                "%s %s of camera %s closed: %s%s", self.kind, self.id, self.camera.id, self._reason, self._summary()
            )
            self.closed.set()

    def stop(self, reason: str) -> None:
        """Ask the session to end; returns at once, harmless when repeated."""
        self._reason = self._reason or reason
        self._stop.set()

    async def abandon(self) -> None:
        """Free a session that never ran."""
        self._release("its offer failed")
        await close_peer(self._peer, self._settings.close_timeout_s)
        self.closed.set()

    async def _live(self) -> str:
        """The session's life; returns why it ended."""
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                state = await self._next_state("connected", "failed", "closed")
        except TimeoutError:
            return (
                f"no connection within {self._settings.connect_timeout_s:g} s; if UDP is blocked between the two, "
                "a TURN server is needed"
            )
        if state != "connected":
            return self._why_not_connected()
        self.has_connected = True
        logger.info("%s %s of camera %s connected", self.kind, self.id, self.camera.id)
        return await self._connected()

    def _why_not_connected(self) -> str:
        if any(each.receiver.transport.state == "failed" for each in self._peer.getTransceivers()):
            return "a way was found, but the two did not agree on the encryption (DTLS)"
        return "the connection could not be established"

    async def _next_state(self, *wanted: str) -> str:
        while (state := self._peer.connectionState) not in wanted:
            self._state_changed.clear()
            await self._state_changed.wait()
        return str(state)

    def _on_state(self) -> None:
        self._state_changed.set()

    def _understood(self, offer: str) -> str:
        """The offer as aiortc is told it."""
        return offer

    def _told(self, answer: str) -> str:
        """The answer as the peer is told it."""
        return answer

    @abstractmethod
    def _prepare(self) -> None:
        """Set the peer connection up before it sees the offer."""

    @abstractmethod
    def _negotiated(self) -> None:
        """Take hold of what the offer brought."""

    @abstractmethod
    async def _connected(self) -> str:
        """Do the session's work; returns why it ended."""

    @abstractmethod
    def _release(self, reason: str) -> None:
        """Give back what the session holds of its camera."""

    @abstractmethod
    def _summary(self) -> str:
        """What the log should say of the session's life, or nothing."""


class PublisherSession(Session):
    """Receives a camera's video and drains it into the camera's newest-frame slot."""

    kind = "publisher"
    right = "publish"
    peer_direction = "send"
    codecs = ("video/VP8", "video/H264")
    _h264: OfferedH264 | None = None

    def _prepare(self) -> None:
        pass

    def _understood(self, offer: str) -> str:
        self._h264 = OfferedH264(offer) if needs_any_h264(offer) else None
        return self._h264.offer if self._h264 else offer

    def _told(self, answer: str) -> str:
        return self._h264.answer(answer) if self._h264 else answer

    def _negotiated(self) -> None:
        receiver = next(each.receiver for each in self._peer.getTransceivers() if each.kind == "video")
        self._repair = UplinkRepair(receiver)
        self._clock = SenderClock(receiver)
        self._track: MediaStreamTrack = receiver.track

    async def _connected(self) -> str:
        repair = asyncio.create_task(self._repair.run(), name=f"surveillx-repair-{self.id}")
        try:
            return await self._drain()
        finally:
            repair.cancel()
            await asyncio.gather(repair, return_exceptions=True)

    async def _drain(self) -> str:
        patience_s = self._settings.first_media_timeout_s
        silent_since = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(PICTURE_REQUEST_S):
                    frame = await self._track.recv()
            except TimeoutError:
                if time.monotonic() - silent_since > patience_s:
                    return f"no picture for {patience_s:g} s"
                await self._repair.ask_for_picture()
            except MediaStreamError:
                return "the publisher ended the stream"
            else:
                patience_s = self._settings.silent_close_s
                silent_since = time.monotonic()
                if isinstance(frame, VideoFrame):
                    self.camera.offer(self, frame, self._origin(frame))

    def _origin(self, frame: VideoFrame) -> Origin | None:
        if frame.pts is None:
            return None
        rtp_timestamp = self._clock.rtp_timestamp(frame.pts)
        received_at = self._clock.received_at(rtp_timestamp)
        if received_at is None:
            return None
        return Origin(received_at, self._clock.captured_at(rtp_timestamp, received_at))

    def _release(self, reason: str) -> None:
        self.camera.release(self, reason)

    @property
    def undecoded(self) -> int:
        """How many pictures wait for the decoder."""
        return self._repair.undecoded if self._peer.connectionState == "connected" else 0

    def _summary(self) -> str:
        return f" (given up waiting for packets {self._repair.given_up} times)" if self._repair.given_up else ""


class ViewerSession(Session):
    """Sends a camera's encoded pictures to one browser."""

    kind = "viewer"
    right = "view"
    peer_direction = "receive"
    codecs = ("video/VP8", "video/H264")

    def __init__(
        self,
        camera: Camera,
        settings: Settings,
        owner: Caller,
        events: EventBus,
        address: str,
        start: RenditionName,
        picture: PictureKind,
    ) -> None:
        super().__init__(camera, settings, owner, address)
        self.viewing = Viewing(camera.id, self.id, camera.broadcast, events, start, picture)

    def _prepare(self) -> None:
        transceiver = self._peer.addTransceiver("video", "sendonly")
        # Otherwise the viewer's first codec wins. VP8 where it can be: one encode for all viewers.
        order = ("video/VP8", "video/H264", "video/rtx")
        capabilities = RTCRtpSender.getCapabilities("video").codecs
        wanted = [each for each in capabilities if each.mimeType in order]
        transceiver.setCodecPreferences(sorted(wanted, key=lambda each: order.index(each.mimeType)))
        self._downlink = Downlink(
            transceiver.sender,
            on_ready=self._begin,
            on_keyframe_wanted=self.viewing.request_keyframe,
            on_feedback=self.viewing.judge,
        )

    def _negotiated(self) -> None:
        pass

    def _begin(self, codec: RTCRtpCodecParameters) -> None:
        self.viewing.begin(self._downlink, "H264" if codec.mimeType == "video/H264" else "VP8")

    async def _connected(self) -> str:
        # A connected peer that can be sent nothing any more is closed, so that it comes back.
        gone = asyncio.create_task(self._next_state("failed", "closed"), name=f"surveillx-gone-{self.id}")
        ended = asyncio.create_task(self._downlink.ended.wait(), name=f"surveillx-ended-{self.id}")
        try:
            await asyncio.wait({gone, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (gone, ended):
                task.cancel()
            await asyncio.gather(gone, ended, return_exceptions=True)
        return "the viewer left"

    def _release(self, reason: str) -> None:  # noqa: ARG002 - the viewer's reason matters to nobody else
        self.viewing.stop()

    def _summary(self) -> str:
        line = self._downlink.feedback.available_bps
        speed = f", its line takes {line // 1000} kbit/s" if line is not None else ""
        refused = f", {self._downlink.refused} retransmissions refused" if self._downlink.refused else ""
        return f" ({self.viewing.delivered} pictures{speed}{refused})"


class SessionRegistry:
    """Every open session. `run` must be running for any to be opened."""

    def __init__(
        self,
        cameras: Cameras,
        settings: Settings,
        metrics: Metrics,
        events: EventBus,
        ports: MediaPorts,
    ) -> None:
        self._ports = ports
        self._cameras = cameras
        self._events = events
        self._settings = settings
        self._metrics = metrics
        self._sessions: dict[str, Session] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._ended = asyncio.Event()

    async def open_ports(self, stack: AsyncExitStack) -> None:
        """Open what the sessions share, until the stack unwinds."""
        stack.callback(self._ports.close)
        await self._ports.open(choose_addresses(self._settings.interfaces))

    async def run(self, ready: asyncio.Event) -> None:
        """Run sessions until cancelled, then close them all."""
        async with asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(give_back_after(self._ended), name="surveillx-heap")
            ready.set()
            await asyncio.Event().wait()

    async def publish(self, camera_id: str, offer_sdp: str, owner: Caller = ANYONE, address: str = "") -> Opened:
        """Open a publisher session of `owner`, who may; `address` is whom it counts for.

        Raises:
            Conflict: the camera has a publisher that is sending. BadRequest, TooLarge, UnsupportedMediaType: the
            offer. Unavailable, TooManyRequests: too many sessions.
        """
        self._check(PublisherSession, offer_sdp, camera_id, address)
        session = PublisherSession(self._cameras.open(camera_id), self._settings, owner, address)
        previous = session.camera.claim(session)
        if isinstance(previous, PublisherSession):
            previous.stop("another publisher took over")
        return await self._open(session, offer_sdp)

    async def view(
        self,
        camera_id: str,
        offer_sdp: str,
        start: RenditionName = "720p",
        picture: PictureKind = "annotated",
        owner: Caller = ANYONE,
        *,
        needs_publisher: bool = False,
        address: str = "",
    ) -> Opened:
        """Open a viewer session of `owner`, who may; it begins with the rendition `start` of `picture`.

        `address` is whom it counts for.

        Without a publisher it shows the slate, unless the viewer `needs_publisher`.

        Raises:
            NotFound: no such camera. BadRequest, TooLarge, UnsupportedMediaType: the offer. Unavailable,
            TooManyRequests: too many sessions. Conflict: nobody publishes.
        """
        self._check(ViewerSession, offer_sdp, camera_id, address)
        camera = self._cameras.get(camera_id)
        if needs_publisher and camera.state == "offline":
            raise Conflict(
                f"Camera {camera.id} sends nothing at present. Try again when it does.",
                reason="camera_offline",
                headers={"Retry-After": "5"},
            )
        session = ViewerSession(camera, self._settings, owner, self._events, address, start, picture)
        return await self._open(session, offer_sdp)

    def viewing(self, session_id: str) -> Viewing:
        """What a viewer's session is sent.

        Raises:
            NotFound: it is not open. Conflict: it is a publisher's.
        """
        session = self._get(session_id)
        if not isinstance(session, ViewerSession):
            raise Conflict(
                "This session sends a picture; only a viewer's can be shown another one.", reason="publisher"
            )
        return session.viewing

    def viewers(self) -> list[ViewerChanged]:
        """What the viewers are sent who do not have the best rendition."""
        viewers = [each.viewing for each in self._sessions.values() if isinstance(each, ViewerSession)]
        return [each.told for each in viewers if not each.is_best]

    def find(self, kind: Kind, camera_id: str, session_id: str) -> Session:
        """The open session of this kind, of this camera.

        Raises:
            NotFound: it is not open, or another's.
        """
        session = self._get(session_id)
        if session.kind != kind or session.camera.id != camera_id:
            raise NotFound(NO_SESSION)
        return session

    async def close(self, session_id: str) -> None:
        """End a session and wait until all it held is free.

        Raises:
            NotFound: it is not open.
        """
        session = self._get(session_id)
        session.stop("its owner closed it")
        await session.closed.wait()

    def owner(self, session_id: str) -> Caller:
        """Who opened a session.

        Raises:
            NotFound: it is not open.
        """
        return self._get(session_id).owner

    def enforce(self, still_may: Callable[[Caller, Right, str], bool]) -> None:
        """End the sessions of those who may no longer."""
        for session in self._sessions.values():
            if not still_may(session.owner, session.right, session.camera.id):
                session.stop("its owner may no longer")

    def counts(self) -> Counter[Kind]:
        """How many sessions of each kind are open."""
        return Counter(session.kind for session in self._sessions.values())

    def undecoded(self) -> int:
        """How many pictures wait for their decoder, of the publisher for whom most do."""
        return max(
            (each.undecoded for each in self._sessions.values() if isinstance(each, PublisherSession)), default=0
        )

    def _get(self, session_id: str) -> Session:
        session = self._sessions.get(session_id)
        if session is None:
            raise NotFound(NO_SESSION)
        return session

    def _check(self, kind: type[Session], offer_sdp: str, camera_id: str, address: str) -> None:
        try:
            check_offer(offer_sdp, kind.peer_direction, kind.codecs)
        except Exception:
            self._metrics.offers.labels(kind.kind, "refused").inc()
            raise
        if self._tasks is None:
            raise Unavailable("The server is starting or stopping.", headers={"Retry-After": "2"})
        places = [
            Place(each.kind, each.camera.id, each.address, is_connecting=not each.has_connected)
            for each in self._sessions.values()
        ]
        try:
            require_room(self._settings, places, Place(kind.kind, camera_id, address))
        except (TooManyRequests, Unavailable):
            self._metrics.offers.labels(kind.kind, "full").inc()
            raise

    async def _open(self, session: Session, offer_sdp: str) -> Opened:
        self._sessions[session.id] = session
        try:
            answer = await session.accept(offer_sdp, self._ports)
        except BaseException:
            self._sessions.pop(session.id, None)
            self._metrics.offers.labels(session.kind, "refused").inc()
            await session.abandon()
            raise
        self._metrics.offers.labels(session.kind, "answered").inc()
        if self._tasks is None:
            raise Unavailable("The server is stopping.", headers={"Retry-After": "2"})
        self._tasks.create_task(self._run(session), name=f"surveillx-session-{session.id}")
        return Opened(session.id, answer, session.ice.etag)

    async def _run(self, session: Session) -> None:
        gauge = self._metrics.sessions.labels(session.kind)
        gauge.inc()
        try:
            await session.run()
        except Exception:  # one session's fault must not end the others; the session has freed what it held
            logger.exception("session %s failed", session.id)
        finally:
            gauge.dec()
            self._sessions.pop(session.id, None)
            self._ended.set()
