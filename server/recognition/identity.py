"""What a person is called: names, roll numbers and classes, as they are stored. Any script, and markup is just text."""

from __future__ import annotations

import unicodedata

from ..errors import Unprocessable

MAX_NAME_CHARACTERS = 100
MAX_ROLL_NO_CHARACTERS = 50
MAX_CLASS_CHARACTERS = 50

# Lone surrogates cannot be stored; control characters and direction overrides could pass one name off as another.
_FORBIDDEN_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
_DIRECTION_OVERRIDES = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

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
    """Trim and compose (NFC, so that é typed in two ways is one name)."""
    cleaned = unicodedata.normalize("NFC", value).strip()
    if not 1 <= len(cleaned) <= max_characters:
        raise Unprocessable(f"The {_WORDS[field]} needs 1 to {max_characters} characters.", reason=field)
    if any(unicodedata.category(each) in _FORBIDDEN_CATEGORIES or each in _DIRECTION_OVERRIDES for each in cleaned):
        raise Unprocessable(f"The {_WORDS[field]} contains control characters.", reason=field)
    return cleaned
