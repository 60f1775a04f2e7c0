"""What a person is called: names, roll numbers and classes, as they are stored. Any script, and markup is just text."""

from __future__ import annotations

import unicodedata

from ..typed import cleaned

MAX_NAME_CHARACTERS = 100
MAX_ROLL_NO_CHARACTERS = 50
MAX_CLASS_CHARACTERS = 50

_WORDS = {"name": "name", "roll_no": "roll number", "class_name": "class"}


def identity(name: str, roll_no: str | None) -> tuple[str, str | None]:
    """Name and roll number as they are stored; an empty roll number is none.

    Raises:
        Unprocessable: one of them is empty, too long or has control characters; `reason` is the field.
    """
    return cleaned_name(name), cleaned_roll_no(roll_no)


def cleaned_name(name: str) -> str:
    """See `identity`."""
    return _cleaned(name, "name", MAX_NAME_CHARACTERS)


def cleaned_roll_no(roll_no: str | None) -> str | None:
    """See `identity`."""
    return _cleaned(roll_no, "roll_no", MAX_ROLL_NO_CHARACTERS) if roll_no and roll_no.strip() else None


def cleaned_class(class_name: str | None) -> str | None:
    """A class as it is stored; an empty one is none. Raises like `identity`."""
    return _cleaned(class_name, "class_name", MAX_CLASS_CHARACTERS) if class_name and class_name.strip() else None


def same(one: str | None, other: str | None) -> bool:
    """Whether two names, roll numbers or classes differ in nothing but case and spaces; an absent one is like none."""
    return folded(one) == folded(other)


def folded(text: str | None) -> str:
    """`text` without what does not tell people apart: case, spaces at the ends and doubled ones."""
    return " ".join(unicodedata.normalize("NFC", text or "").casefold().split())


def _cleaned(value: str, field: str, max_characters: int) -> str:
    return cleaned(value, field, _WORDS[field], max_characters)
