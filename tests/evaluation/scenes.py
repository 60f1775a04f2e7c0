"""What the clips show: each scene asks one thing of recognition."""

from __future__ import annotations

from itertools import cycle

from .cast import STRANGERS, Look
from .film import Actor, Pose, Scene

PLAIN = Look()
# In the enrolment photos nobody looks like these.
DIM = Look(gain=0.6, gamma=1.1)
WARM = Look(tint=(1.0, 0.82, 0.6), gain=1.05)
COLD = Look(tint=(0.75, 0.9, 1.0), gain=0.9)
HARSH = Look(gain=1.35, gamma=1.35)


def walk(name: str, start: tuple[float, float], end: tuple[float, float], size: float, *, seconds: float) -> Actor:
    """Straight across, nodding a little."""
    (x0, y0), (x1, y1) = start, end
    middle = Pose(seconds / 2, (x0 + x1) / 2, (y0 + y1) / 2 + 8, size, 4)
    return Actor(name, (Pose(0, x0, y0, size, -4), middle, Pose(seconds, x1, y1, size, -4)))


def standing(name: str, x: float, y: float, size: float, *, seconds: float, look: Look = PLAIN) -> Actor:
    """In one place, swaying slowly."""
    poses = tuple(
        Pose(at, x + 10 * (step % 2), y + 4 * (step % 3), size, 3 - 6 * (step % 2)) for step, at in steps(seconds)
    )
    return Actor(name, poses, look)


def steps(seconds: float) -> list[tuple[int, float]]:
    return [(index, index * seconds / 4) for index in range(5)]


def turning(name: str, x: float, y: float, size: float) -> Actor:
    """Tilts the head one way and the other, then turns it aside and back."""
    return Actor(
        name,
        (
            Pose(0, x, y, size),
            Pose(0.7, x + 10, y, size, 20),
            Pose(1.4, x, y + 6, size, -20),
            Pose(2.0, x - 8, y, size, 0, 0.9),
            Pose(2.6, x - 14, y, size, 0, 0.72),
            Pose(3.2, x, y, size),
        ),
    )


def approaching(name: str, *, seconds: float) -> Actor:
    """From the far end of the hall to the camera."""
    return Actor(name, (Pose(0, 560, 200, 24), Pose(0.6 * seconds, 620, 300, 80), Pose(seconds, 700, 330, 200)), COLD)


def lit(name: str, x: float, y: float, size: float, look: Look) -> Actor:
    """Under a light that goes down and up again."""
    lights = ((0, 0.9), (0.8, 0.5), (1.6, 0.8), (2.4, 1.25))
    return Actor(name, tuple(Pose(at, x + 14 * at, y, size, 3 * at, 1.0, light) for at, light in lights), look)


def crowd(*, known: str, seconds: float) -> tuple[Actor, ...]:
    """Thirty faces in three rows; one of them is enrolled."""
    names = cycle(STRANGERS)
    places = [(80 + 122 * column, 150 + 190 * row, 40 + 10 * row) for row in range(3) for column in range(10)]
    return tuple(
        standing(known if number == 24 else next(names), x, y, size, seconds=seconds)
        for number, (x, y, size) in enumerate(places)
    )


def _comes_and_goes() -> tuple[Actor, ...]:
    """Ada comes, goes, a stranger steps into her place, and she comes back on the other side."""
    into_place = (Pose(1.7, 480, 780, 92), Pose(2.1, 620, 330, 92), Pose(3.4, 640, 330, 92))
    return (
        Actor(
            "Ada", (Pose(0, -40, 320, 90), Pose(0.7, 300, 330, 90), Pose(1.4, 620, 330, 90), Pose(1.7, 640, -160, 90))
        ),
        Actor("stranger 1", into_place),
        Actor("Ada", (Pose(2.4, 1330, 330, 84), Pose(3.2, 1040, 320, 84), Pose(4.2, 980, 320, 84)), WARM),
    )


def _covered() -> tuple[Actor, ...]:
    return (
        standing("Ben", 300, 320, 110, seconds=2.5, look=Look(cover="hand")),
        standing("Cleo", 640, 320, 110, seconds=2.5, look=Look(cover="mask")),
        standing("stranger 3", 980, 320, 110, seconds=2.5, look=Look(cover="mask")),
    )


SCENES = (
    Scene("walking", 2.0, (walk("Ada", (240, 320), (1020, 300), 92, seconds=2.0),), "busy", quick=True),
    Scene("approaching", 3.2, (approaching("Ben", seconds=3.2),), "wall", quick=True),
    Scene("turning", 3.2, (turning("Cleo", 420, 330, 100), turning("stranger 3", 860, 330, 100)), "wall", quick=True),
    Scene("light", 2.4, (lit("Dan", 380, 330, 90, DIM), lit("Ada", 860, 330, 90, WARM)), "dark", quick=True),
    Scene(
        "crossing",
        3.0,
        (
            walk("Ada", (330, 330), (950, 330), 82, seconds=3.0),
            walk("stranger 2", (980, 350), (300, 350), 96, seconds=3.0),
        ),
        "busy",
        quick=True,
    ),
    Scene("coming-and-going", 4.2, _comes_and_goes(), "wall", quick=True),
    Scene(
        "strangers",
        2.4,
        tuple(standing(name, 260 + 380 * place, 320, 110, seconds=2.4) for place, name in enumerate(STRANGERS)),
        "bright",
        quick=True,
    ),
    Scene(
        "two-at-a-time",
        3.0,
        (
            walk("Cleo", (120, 300), (760, 320), 76, seconds=3.0),
            walk("Dan", (420, 330), (1130, 340), 84, seconds=3.0),
        ),
        "bright",
        codec="libvpx",
    ),
    Scene(
        "row",
        4.5,
        tuple(
            standing(name, 170 + 180 * place, 330 + 10 * (place % 2), 58, seconds=4.5)
            for place, name in enumerate(("Ada", "stranger 1", "Ben", "Cleo", "stranger 2", "Dan"))
        ),
        "wall",
    ),
    Scene("crowd", 3.0, crowd(known="Ada", seconds=3.0), "wall"),
    Scene("covered", 2.5, _covered(), "wall"),
    Scene(
        "blurred",
        2.5,
        (
            standing("Ada", 260, 320, 90, seconds=2.5, look=Look(motion=0.08)),
            standing("Ben", 640, 320, 90, seconds=2.5, look=Look(defocus=0.02)),
            standing("stranger 2", 1000, 320, 90, seconds=2.5, look=Look(defocus=0.03)),
        ),
        "bright",
    ),
    Scene(
        "noisy",
        2.5,
        (
            standing("Cleo", 300, 320, 72, seconds=2.5, look=DIM),
            standing("Dan", 620, 320, 72, seconds=2.5, look=HARSH),
            standing("stranger 1", 940, 320, 72, seconds=2.5, look=DIM),
        ),
        "dark",
        noise=12.0,
        crf=36,
    ),
    Scene(
        "far-away",
        3.0,
        (
            walk("Ada", (200, 220), (420, 230), 28, seconds=3.0),
            walk("Ben", (560, 240), (700, 230), 36, seconds=3.0),
            walk("stranger 3", (980, 220), (820, 230), 46, seconds=3.0),
        ),
        "busy",
    ),
)
