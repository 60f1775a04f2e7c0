"""The publisher against a real peer behind a real HTTP server."""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from av.error import FFmpegError
from av.video.frame import PictureType

from server.publisher import (
    CameraDevice,
    Capture,
    Feed,
    Mode,
    Publisher,
    PublisherSettings,
    SourceError,
    add_arguments,
    list_cameras,
    new_event_loop,
    run,
)
from server.publisher.devices import CaptureArguments, camera_modes, capture_arguments, explain, kind_of
from server.publisher.feeds import fit, open_feed
from server.publisher.peer import WATCH_EVERY_S, IceServers, Stillness
from server.publisher.signalling import server_url

from .answerer import Answerer
from .rtsp_camera import RtspCamera
from .wait import until, until_sync

CAMERAS = (CameraDevice("@device_pnp_1", "HD Webcam"), CameraDevice("@device_pnp_2", "Room 12"))


def picture(number: int, width: int = 1280, height: int = 720) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), number % 200 + 20, np.uint8), format="rgb24")
    return frame.reformat(format="yuv420p")


def write_clip(
    path: Path, frames: int, size: tuple[int, int] = (1280, 720), codec: str = "mpeg4", fps: int = 30
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(frames):
            frame = picture(number, *size).reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "room.mp4", frames=15)


@pytest.fixture
async def answerer() -> AsyncIterator[Answerer]:
    async with Answerer().serving() as serving:
        yield serving


@asynccontextmanager
async def publishing(settings: PublisherSettings, capture: Capture | None = None) -> AsyncIterator[Publisher]:
    publisher = Publisher(settings, capture)
    running = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        publisher.stop()
        await asyncio.wait_for(running, 10)


# What to open


@pytest.mark.parametrize(
    ("source", "platform", "expected"),
    [
        ("1", "win32", CaptureArguments("video=@device_pnp_2", "dshow", {"rtbufsize": "32M"})),
        ("HD Webcam", "win32", CaptureArguments("video=@device_pnp_1", "dshow", {"rtbufsize": "32M"})),
        ("0", "linux", CaptureArguments("/dev/video0", "v4l2")),
        ("/dev/video3", "linux", CaptureArguments("/dev/video3", "v4l2")),
        ("Room 12", "linux", CaptureArguments("@device_pnp_2", "v4l2")),
        ("1", "darwin", CaptureArguments("@device_pnp_2:none", "avfoundation", {"framerate": "30"})),
    ],
)
def test_a_camera_on_each_platform(source: str, platform: str, expected: CaptureArguments) -> None:
    assert capture_arguments(source, platform, cameras=CAMERAS) == expected


def test_size_and_rate_are_asked_of_a_camera() -> None:
    asked = {"video_size": "1280x720", "framerate": "30"}
    for platform in ("win32", "linux", "darwin"):
        options = capture_arguments("0", platform, Mode(), CAMERAS).options
        assert options.items() >= asked.items()
    assert capture_arguments("0", "linux", Mode()).options["input_format"] == "mjpeg"


def test_steps_down_to_what_the_camera_likes() -> None:
    assert camera_modes(Mode()) == [Mode(1280, 720, 30), Mode(640, 480, 30), None]
    assert camera_modes(Mode(320, 240, 15)) == [Mode(320, 240, 15), None]


@pytest.mark.parametrize("platform", ["win32", "linux", "darwin"])
def test_an_unknown_camera_names_those_there_are(platform: str) -> None:
    with pytest.raises(SourceError, match=r'no camera "Aula".*0 "HD Webcam", 1 "Room 12"'):
        capture_arguments("Aula", platform, cameras=CAMERAS)
    with pytest.raises(SourceError, match="No camera was found"):
        capture_arguments("Aula", platform)


def test_streams_and_files() -> None:
    stream = capture_arguments("rtsp://10.0.0.5/live", "win32")
    assert stream.options == {"rtsp_transport": "tcp", "fflags": "nobuffer"}
    assert capture_arguments("http://10.0.0.5/mjpg", "linux").options == {"fflags": "nobuffer"}
    assert capture_arguments("lesson.mp4", "win32") == CaptureArguments("lesson.mp4")


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("0", "camera"),
        ("HD Webcam", "camera"),
        ("Cam v1.2", "camera"),
        ("/dev/video0", "camera"),
        ("rtsp://host/x", "stream"),
        ("missing.mp4", "file"),
        ("./missing", "file"),
    ],
)
def test_what_kind_of_source(source: str, kind: str) -> None:
    assert kind_of(source) == kind


@pytest.mark.parametrize(
    ("source", "number", "words"),
    [
        ("0", errno.EBUSY, "in use: close the other program"),
        ("HD Webcam", errno.EACCES, "privacy settings"),
        ("0", errno.ENODEV, "plug it in"),
        ("0", errno.EIO, "does not start"),
        ("0", errno.EINVAL, "gives no picture"),
        ("rtsp://ann:secret@cam/live", errno.ECONNREFUSED, "^rtsp://cam/live refuses.*RTSP is switched on"),
        ("rtsp://cam/live", errno.ETIMEDOUT, "does not answer"),
        ("rtsp://cam/live", -av.error.tag_to_code(b"\xf8401"), "user name and password"),
        ("rtsp://cam/live", -av.error.tag_to_code(b"\xf8404"), "look up the path"),
        ("clip.mp4", errno.EACCES, "may not be read"),
    ],
)
def test_errors_say_what_to_do(source: str, number: int, words: str) -> None:
    try:
        av.error.err_check(-number, source)
    except FFmpegError as error:
        with pytest.raises(SourceError, match=words):
            raise explain(source, error) from error


@pytest.mark.parametrize("size", ["1280", "1281x720", "9x9", "0x0", "1280x720x3", "99999x720"])
def test_sizes_that_cannot_be(size: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        Mode.parse(size)


def test_cameras_can_be_listed_where_there_are_none() -> None:
    assert list_cameras("win32") == []  # FFmpeg has no DirectShow here: the same as no camera
    assert isinstance(list_cameras(sys.platform), list)


# Reading pictures


def test_a_file_plays_in_a_loop_and_its_timestamps_rise_evenly(clip: Path) -> None:
    frames = list(islice(open_feed(str(clip), Mode(), threading.Event()).frames, 35))
    times = [frame.pts or 0 for frame in frames]
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert set(steps) <= {2999, 3000, 3001}  # over the seams after 15 and 30 pictures too
    assert {frame.time_base for frame in frames} == {Fraction(1, 90_000)}


def test_pictures_are_made_fit_for_the_encoder(tmp_path: Path) -> None:
    file = write_clip(tmp_path / "camera.avi", frames=8, size=(1920, 1440), codec="mjpeg", fps=60)
    feed = open_feed(str(file), Mode(640, 480, 30), threading.Event())
    frames = list(islice(feed.frames, 6))
    assert feed.fps == 30
    assert {(frame.width, frame.height, frame.format.name) for frame in frames} == {(640, 480, "yuv420p")}
    # An MJPEG camera's pictures are all keyframes; encoded as such they would fill any network.
    assert {frame.pict_type for frame in frames} == {PictureType.NONE}
    first, last = frames[0].pts, frames[-1].pts
    assert first
    assert last
    assert (last - first) / 5 == pytest.approx(3000, rel=0.2)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1280, 720), (1280, 720)), ((3840, 2160), (1280, 720)), ((640, 481), (640, 480)), ((1080, 1920), (404, 720))],
)
def test_pictures_shrink_to_fit_and_keep_their_shape(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fit(*size, Mode()) == expected


def test_files_that_cannot_be_played_are_named(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("no video")
    for name, words in (("gone.mp4", "no file .*gone.mp4"), ("notes.mp4", "not a video")):
        with pytest.raises(SourceError, match=words) as caught:
            open_feed(str(tmp_path / name), Mode(), threading.Event())
        assert caught.value.permanent


def test_a_network_camera_that_refuses_is_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SourceError, match="refuses the connection") as caught:
        open_feed(f"rtsp://127.0.0.1:{port}/live", Mode(), threading.Event())
    assert not caught.value.permanent


class Camera:
    """A source that can be unplugged."""

    def __init__(self) -> None:
        self.plugged = threading.Event()
        self.plugged.set()
        self.number = 0

    def open(self, stop: threading.Event) -> Feed:
        if not self.plugged.is_set():
            raise SourceError("Camera 0 is not there.")
        return Feed(self._frames(stop), 30.0)

    def _frames(self, stop: threading.Event) -> Iterator[av.VideoFrame]:
        while self.plugged.is_set() and not stop.wait(1 / 30):
            self.number += 1
            frame = picture(self.number, 320, 240)
            frame.pts, frame.time_base = self.number * 3000, Fraction(1, 90_000)
            yield frame


async def test_a_blocked_read_does_not_hold_up_the_end() -> None:
    reading, release = threading.Event(), threading.Event()

    def stuck(_: threading.Event) -> Feed:
        reading.set()
        release.wait()
        raise SourceError("Released.", permanent=True)

    capture = Capture(stuck)
    capture.start()
    await until(reading.is_set)
    await asyncio.wait_for(capture.close(), 5)
    release.set()


async def test_a_reader_that_crashes_is_started_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("server.publisher.capture.RETRY_S", 0.01)
    attempts = []

    def crashes(_: threading.Event) -> Feed:
        attempts.append(1)
        raise ZeroDivisionError("in a driver")

    capture = Capture(crashes, "source 0")
    capture.start()
    await until(lambda: len(attempts) > 2)
    await capture.close()
    assert "Reading source 0 failed: in a driver" in caplog.text


# Publishing


async def test_a_file_is_published_and_the_camera_freed_on_stop(answerer: Answerer, clip: Path) -> None:
    async with publishing(PublisherSettings(server=answerer.url, camera_id="aula", source=str(clip), token="t0p")):
        await until(lambda: answerer.frames > 40)
    assert answerer.size == (1280, 720)
    assert all(earlier < later for earlier, later in pairwise(answerer.pts))
    assert answerer.offers[0]["camera_id"] == "aula"
    assert answerer.tokens == ["Bearer t0p"]
    assert answerer.deleted == ["session-1"]


async def test_the_offer(answerer: Answerer, clip: Path) -> None:
    async with publishing(PublisherSettings(server=answerer.url, source=str(clip))):
        await until(lambda: answerer.offers)
    sdp = answerer.offers[0]["sdp"]
    assert "a=sendonly" in sdp
    assert sdp.index("VP8/90000") < sdp.index("H264/90000")
    assert " 127.0.0.1 " in sdp  # the server is on this machine: works with the cable pulled, too
    assert "m=audio" not in sdp


async def test_a_busy_camera_is_tried_until_it_is_free(
    answerer: Answerer, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "surveillx.publisher")
    answerer.refusal = (409, "Camera 1 is published from room 12.")
    async with publishing(PublisherSettings(server=answerer.url, source=str(clip))):
        await until(lambda: len(answerer.tokens) >= 2)
        answerer.refusal = None
        await until(lambda: answerer.frames)
    lines = [record.message for record in caplog.records]
    assert lines.count("The server refuses: Camera 1 is published from room 12. Trying again.") == 1
    assert "Live: camera 1, 1280x720 at 30 fps" in lines


async def test_no_token_says_which_to_set(answerer: Answerer, clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    answerer.refusal = (401, "Sign-in needed")
    async with publishing(PublisherSettings(server=answerer.url, source=str(clip))):
        await until(lambda: "set SURVEILLX_PUBLISH_TOKEN" in caplog.text)
    assert answerer.deleted == []


async def test_a_server_that_is_no_server_of_ours(
    answerer: Answerer, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with publishing(PublisherSettings(server=f"{answerer.url}/wrong", source=str(clip))):
        await until(lambda: "is not a SurveillX server" in caplog.text or "refuses: Not Found" in caplog.text)


async def test_the_server_hangs_up_and_the_publisher_comes_back(answerer: Answerer, clip: Path) -> None:
    async with publishing(PublisherSettings(server=answerer.url, source=str(clip))):
        await until(lambda: answerer.frames)
        await answerer.hang_up()
        await until(lambda: len(answerer.offers) == 2)
        seen = answerer.frames
        await until(lambda: answerer.frames > seen)
    assert answerer.deleted == ["session-1", "session-2"]


async def test_an_unplugged_camera_keeps_its_connection(answerer: Answerer, caplog: pytest.LogCaptureFixture) -> None:
    camera = Camera()
    async with publishing(PublisherSettings(server=answerer.url), Capture(camera.open, "camera 0")):
        await until(lambda: answerer.frames > 5)
        camera.plugged.clear()
        await until(lambda: "gives no more pictures" in caplog.text)
        seen = answerer.frames
        camera.plugged.set()
        await until(lambda: answerer.frames > seen + 5)
    assert len(answerer.offers) == 1
    assert "Camera 0 gives no more pictures: unplugged? Trying again every 2 s." in caplog.text


async def test_a_network_camera_is_published_and_found_again(
    answerer: Answerer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("server.publisher.capture.RETRY_S", 0.1)
    async with (
        RtspCamera().serving() as camera,
        publishing(PublisherSettings(server=answerer.url, source=camera.url)),
    ):
        await until(lambda: answerer.frames > 5)
        camera.hang_up()
        await until(lambda: len(camera.transports) == 2)
        seen = answerer.frames
        await until(lambda: answerer.frames > seen + 5)
    assert answerer.size == (320, 240)
    assert all("RTP/AVP/TCP" in transport for transport in camera.transports)
    assert "Trying again" in caplog.text
    assert len(answerer.offers) == 1


@pytest.mark.parametrize(
    ("status", "words"), [("401 Unauthorized", "user name and password"), ("404 Not Found", "look up the path")]
)
async def test_a_network_camera_that_says_no(status: str, words: str) -> None:
    async with RtspCamera().serving() as camera:
        camera.status = status
        with pytest.raises(SourceError, match=words):
            await asyncio.to_thread(open_feed, camera.url, Mode(), threading.Event())


async def test_a_missing_file_ends_the_publisher(answerer: Answerer) -> None:
    publisher = Publisher(PublisherSettings(server=answerer.url, source="gone.mp4"))
    with pytest.raises(SourceError, match=r"There is no file gone\.mp4"):
        await asyncio.wait_for(publisher.run(), 10)
    assert answerer.offers == []


async def test_stop_before_the_first_picture(answerer: Answerer) -> None:
    async with publishing(PublisherSettings(server=answerer.url), Capture(Camera().open)) as publisher:
        publisher.stop()
        publisher.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def start_answerer(port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.answerer", str(port)])


def frames_at(port: int) -> int:
    try:
        return int(httpx.get(f"http://127.0.0.1:{port}/frames", timeout=1).text)
    except httpx.TransportError:
        return 0


async def test_a_killed_server_is_missed_and_found_again(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "surveillx.publisher")
    port = free_port()
    server = start_answerer(port)
    try:
        async with publishing(PublisherSettings(server=f"http://127.0.0.1:{port}", source=str(clip))):
            await asyncio.to_thread(until_sync, lambda: frames_at(port), 45)
            caplog.clear()
            server.kill()
            server.wait()
            await until(lambda: "Nothing reaches the server" in caplog.text)
            server = start_answerer(port)
            await asyncio.to_thread(until_sync, lambda: frames_at(port), 45)
    finally:
        server.kill()
        server.wait()
    first, second, *_, last = [record.message for record in caplog.records if record.name == "surveillx.publisher"]
    assert first.startswith("Nothing reaches the server")
    assert second == "The server has vanished. Trying again."
    assert last == "Live: camera 1, 1280x720 at 30 fps"


def test_only_watched_time_counts_as_silence() -> None:
    stillness = Stillness()
    assert stillness.lasts(1, 100.0) == 0
    assert stillness.lasts(1, 100.25) == 0.25
    assert stillness.lasts(1, 160.25) == 0.25 + 2 * WATCH_EVERY_S  # the process was suspended for a minute
    assert stillness.lasts(2, 160.5) == 0


# The command


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_listing_cameras(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments("--list"), "") == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--source", "gone.mp4"), "There is no file gone.mp4"),
        (("--size", "big"), "not a size"),
        (("--server", "ftp://school"), "not an address"),
        (("--max-bitrate", "4000"), "not a rate between"),
    ],
)
def test_wrong_options_end_with_words(words: tuple[str, ...], complaint: str, caplog: pytest.LogCaptureFixture) -> None:
    assert run(arguments(*words), "") == 1
    assert complaint in caplog.text


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("school:8080", "http://school:8080/"),
        ("https://school/cams/", "https://school/cams/"),
        ("[::1]:8080", "http://[::1]:8080/"),
    ],
)
def test_server_addresses(text: str, url: str) -> None:
    assert str(server_url(text)) == url


def test_sigterm_ends_it_in_order(clip: Path) -> None:
    port = free_port()
    program = (
        "import sys, argparse; from server.publisher import add_arguments, run\n"
        "parser = argparse.ArgumentParser(); add_arguments(parser)\n"
        "sys.exit(run(parser.parse_args(), 'secret'))"
    )
    server = start_answerer(port)
    options = ("--server", f"127.0.0.1:{port}", "--source", str(clip))
    publisher = subprocess.Popen([sys.executable, "-c", program, *options])
    try:
        until_sync(lambda: frames_at(port), 45)
        publisher.send_signal(signal.SIGTERM)
        assert publisher.wait(10) == 0
    finally:
        publisher.kill()
        server.kill()
        publisher.wait()
        server.wait()


def test_it_needs_no_package_of_the_server() -> None:
    heavy = "{'dlib', 'cv2', 'fastapi', 'sqlalchemy', 'uvicorn', 'socketio', 'server.config'}"
    program = f"import sys, server.publisher; print(*{heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


def test_ice_servers_are_explicit() -> None:
    assert IceServers().configuration().iceServers == []
    servers = IceServers("stun:s:3478", "turn:t:3478", "ann", "secret").configuration().iceServers
    assert servers is not None
    assert [server.urls for server in servers] == ["stun:s:3478"]


def test_windows_gets_the_selector_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    loop = new_event_loop()
    assert isinstance(loop, asyncio.SelectorEventLoop)
    loop.close()
