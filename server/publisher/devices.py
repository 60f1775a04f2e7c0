"""What to open: from the words on the command line to FFmpeg's arguments, on each platform.

`capture_arguments` is the one place that knows about platforms. Everything here but `list_cameras` is pure.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import av
from av.error import FFmpegError

SourceKind = Literal["camera", "file", "stream"]

# FFmpeg's name of each platform's camera input; Linux where none is named.
_INPUT_FORMATS = {"win32": "dshow", "darwin": "avfoundation"}
_FILE_SUFFIXES = {".avi", ".flv", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".y4m"}
_BUSY = {errno.EBUSY, errno.EAGAIN}
_GONE = {errno.ENOENT, errno.ENODEV, errno.ENXIO}


class SourceError(Exception):
    """There are no pictures; the text says why and what to do. `permanent`: trying again will not help."""

    def __init__(self, text: str, *, permanent: bool = False) -> None:
        super().__init__(text)
        self.permanent = permanent


@dataclass(frozen=True)
class Mode:
    """A picture size in pixels and a rate in pictures per second."""

    width: int = 1280
    height: int = 720
    fps: int = 30

    @classmethod
    def parse(cls, size: str, fps: int = 30) -> Mode:
        """Read "1280x720".

        Raises:
            ValueError: anything else, or an odd or absurd size.
        """
        match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", size)
        if match is None or int(match[1]) % 2 or int(match[2]) % 2 or not 1 <= fps <= 120:
            raise ValueError(f"{size} at {fps} fps is not a size such as 1280x720 (even numbers) and a rate up to 120")
        return cls(int(match[1]), int(match[2]), fps)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class CameraDevice:
    """A camera of this machine: what FFmpeg calls it, and what a person does."""

    device: str
    name: str


@dataclass(frozen=True)
class CaptureArguments:
    """What `av.open` gets."""

    file: str
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)


def kind_of(source: str) -> SourceKind:
    """Whether `source` is a file to play in a loop, the address of a network camera, or a camera of this machine."""
    if "://" in source:
        return "stream"
    if source.isdigit() or source.startswith("/dev/"):
        return "camera"
    path = Path(source)
    if path.is_file() or path.suffix.lower() in _FILE_SUFFIXES or path.name != source:
        return "file"
    return "camera"


def camera_modes(wanted: Mode) -> list[Mode | None]:
    """What to ask a camera for, in this order; None leaves it to the device.

    DirectShow refuses a size and rate the camera does not list ("Could not set video options"), hence the steps.
    """
    steps: list[Mode | None] = [wanted]
    smaller = Mode(640, 480, 30)
    if wanted.width > smaller.width:
        steps.append(smaller)
    return [*steps, None]


def capture_arguments(
    source: str, platform: str, mode: Mode | None = None, cameras: Sequence[CameraDevice] = ()
) -> CaptureArguments:
    """FFmpeg's arguments for `source` on `platform` (`sys.platform`), asking a camera for `mode`.

    `cameras` are those of this machine; needed for a camera given by its name, and on Windows by its number.

    Raises:
        SourceError: no such camera.
    """
    kind = kind_of(source)
    if kind == "file":
        return CaptureArguments(source)
    if kind == "stream":
        # TCP: a lost UDP packet would smear the picture until the camera's next keyframe.
        options = {"rtsp_transport": "tcp"} if source.startswith(("rtsp://", "rtsps://")) else {}
        return CaptureArguments(source, options=options | {"fflags": "nobuffer"})
    device = _device(source, platform, cameras)
    options = {"video_size": str(mode), "framerate": str(mode.fps)} if mode else {}
    if platform == "win32":
        # The default buffer holds two raw 720p pictures and complains when the third arrives.
        return CaptureArguments(f"video={device}", "dshow", options | {"rtbufsize": "32M"})
    if platform == "darwin":
        # Asked for no rate, avfoundation asks for 29.97, which many cameras refuse.
        return CaptureArguments(f"{device}:none", "avfoundation", {"framerate": "30"} | options)
    if mode:
        # Uncompressed 720p does not fit through USB 2 at 30 fps; the driver would give 10 fps without a word.
        options["input_format"] = "mjpeg"
    return CaptureArguments(device, "v4l2", options)


def _device(source: str, platform: str, cameras: Sequence[CameraDevice]) -> str:
    if platform not in _INPUT_FORMATS:
        if source.isdigit():
            return f"/dev/video{source}"
        if source.startswith("/dev/"):
            return source
    elif source.isdigit() and int(source) < len(cameras):
        return cameras[int(source)].device
    for camera in cameras:
        if source in (camera.name, camera.device):
            return camera.device
    raise SourceError(f"There is no camera {_quoted(source)}. {_listing(cameras)}")


def _quoted(source: str) -> str:
    return source if source.isdigit() else f'"{source}"'


def _listing(cameras: Sequence[CameraDevice]) -> str:
    if not cameras:
        return "No camera was found on this machine: plug one in, or check that its driver is installed."
    return "This machine has: " + ", ".join(f'{n} "{camera.name}"' for n, camera in enumerate(cameras)) + "."


def list_cameras(platform: str) -> list[CameraDevice]:
    """The cameras of this machine, in the order of their numbers; none where they cannot be listed."""
    try:
        devices = av.enumerate_input_devices(_INPUT_FORMATS.get(platform, "v4l2"))
    except (FFmpegError, ValueError):
        # No camera system at all: for FFmpeg an error, for the user an empty list.
        return []
    videos = [each for each in devices if "video" in each.media_types or not each.media_types]
    return [CameraDevice(each.name, each.description or each.name) for each in videos]


def explain(source: str, error: Exception) -> SourceError:
    """FFmpeg's error in words, with what to do next."""
    kind = kind_of(source)
    if kind == "file":
        return _explain_file(source, error)
    if kind == "stream":
        return _explain_stream(source, error)
    return SourceError(f"Camera {_quoted(source)} {_explain_camera(error)}")


def _explain_camera(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if isinstance(error, PermissionError):
        return (
            "may not be used: allow camera access in the system's privacy settings "
            "(on Linux: add the user to the group video)."
        )
    if number in _BUSY:
        return "is in use: close the other program (Teams, Zoom, a browser tab)."
    if number in _GONE:
        return "is not there: plug it in, or see `surveillx publish --list`."
    if number == errno.EIO:
        # DirectShow's one answer for a camera that another program holds and for one that does not start.
        return "does not start: close other programs that use it, or unplug it and plug it in again."
    return f"gives no picture ({error})."


def _explain_file(source: str, error: Exception) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceError(f"There is no file {source}: check the path.", permanent=True)
    if isinstance(error, PermissionError):
        return SourceError(f"The file {source} may not be read: check its permissions.", permanent=True)
    return SourceError(f"The file {source} is not a video that can be played ({error}).", permanent=True)


def _explain_stream(source: str, error: Exception) -> SourceError:
    # The address may carry a password.
    shown = re.sub(r"//[^/@]*@", "//", source)
    if isinstance(error, av.error.HTTPUnauthorizedError):
        return SourceError(f"{shown} wants a user name and password: rtsp://USER:PASSWORD@... .")
    if isinstance(error, av.error.HTTPNotFoundError):
        return SourceError(f"{shown} does not exist on that camera: look up the path in its manual.")
    if isinstance(error, ConnectionRefusedError):
        return SourceError(f"{shown} refuses the connection: check the port, and that RTSP is switched on.")
    if isinstance(error, (TimeoutError, av.error.ExitError)):
        return SourceError(f"{shown} does not answer: check the address and the network.")
    reason = getattr(error, "strerror", None) or type(error).__name__
    return SourceError(f"{shown} cannot be read ({reason}): check the address.")
