"""Text as bitmaps: the names on the boxes and the words on the slate, in any script.

Rendered once with Pillow and kept; OpenCV's putText knows only ASCII. Fonts are those of the machine: the first one
in `_PREFERRED` order that has all the letters of a text. Without any, Pillow's own font serves Latin letters.
"""

from __future__ import annotations

import logging
import sys
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

logger = logging.getLogger("surveillx.labels")

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

MAX_NAME = 40
# Line ends, which Pillow's text layout refuses in one line; other control characters and halves of surrogate pairs.
_NOT_DRAWN = frozenset({"Cc", "Cs", "Zl", "Zp"})

# Families of wide coverage first, then those of single scripts; file names begin with these.
_PREFERRED = (
    "notosans-regular",
    "notosans[",
    "segoeui.",
    "dejavusans.",
    "sfns",
    "arial",
    "nirmala",
    "notosansdevanagari-regular",
    "notosansarabic-regular",
    "notosanscjk",
    "notosans",
    "msyh",
    "malgun",
    "meiryo",
    "msgothic",
    "pingfang",
    "hiragino",
    "wqy",
    "droidsansfallback",
    "unifont",
)


@dataclass(frozen=True, slots=True)
class Label:
    """A text's coverage mask, uint8 (height, width), 255 where there is ink; both sides even."""

    coverage: NDArray[np.uint8]

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.coverage.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.coverage.shape[0])


@lru_cache(maxsize=512)
def render_label(text: str, size: int) -> Label:
    """Render one line of text with letters of about `size` pixels; a very long one is cut and ends in an ellipsis."""
    text = "".join(" " if unicodedata.category(each) in _NOT_DRAWN else each for each in text)
    shown = text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…"
    font = choose_font(shown, size)
    left, top, right, bottom = font.getbbox(shown)
    padding = max(2, size // 4)
    width = _even(int(right - left) + 2 * padding)
    # The same height for every name of a size, so that plates do not jump when a name changes.
    height = _even(max(int(bottom - top), int(size * 1.2)) + padding)
    image = Image.new("L", (width, height), 0)
    ImageDraw.Draw(image).text((padding - left, (height - (bottom - top)) / 2 - top), shown, font=font, fill=255)
    return Label(np.asarray(image))


@lru_cache(maxsize=512)
def choose_font(text: str, size: int) -> Font:
    """The first font that has every letter of `text`, or the one that has most of them."""
    letters = {letter for letter in text if not letter.isspace()}
    best: Font | None = None
    fewest = len(letters) + 1
    for path in _font_files():
        try:
            font = ImageFont.truetype(str(path), size)
        except OSError:
            continue
        missing = len(letters) - sum(_has_glyph(font, letter) for letter in letters)
        if missing < fewest:
            best, fewest = font, missing
        if not missing:
            return font
    fallback = ImageFont.load_default(size)
    if best is None or fewest > sum(not letter.isascii() for letter in letters):
        best = fallback
    if fewest:
        # Not the name itself: names do not go into logs.
        logger.warning("no font has all letters of a name; on Debian: apt-get install fonts-noto-core fonts-noto-cjk")
    return best


@lru_cache(maxsize=4096)
def _has_glyph(font: ImageFont.FreeTypeFont, letter: str) -> bool:
    # A font without a letter draws the same box for it as for a code point that is no character.
    missing = font.getmask("\U0010ffff")
    mask = font.getmask(letter)
    return mask.size != missing.size or bytes(mask) != bytes(missing)


@lru_cache(maxsize=1)
def _font_files() -> tuple[Path, ...]:
    files = [
        file
        for folder in _font_folders()
        for file in folder.rglob("*")
        if file.suffix.lower() in {".ttf", ".ttc", ".otf"} and _rank(file) < len(_PREFERRED)
    ]
    return tuple(sorted(files, key=lambda file: (_rank(file), file.name)))


def _rank(file: Path) -> int:
    name = file.name.lower()
    return next((rank for rank, prefix in enumerate(_PREFERRED) if name.startswith(prefix)), len(_PREFERRED))


def _font_folders() -> list[Path]:
    if sys.platform == "win32":
        return [Path("C:/Windows/Fonts")]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts")]
    return [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".local/share/fonts"]


def _even(value: int) -> int:
    return value + value % 2
