"""Names that people type: how they are cleaned before they are stored. Any script, and markup is just text."""

from __future__ import annotations

import unicodedata

from .errors import Unprocessable

# Lone surrogates cannot be stored; control characters and direction overrides could pass one name off as another.
_FORBIDDEN_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
_DIRECTION_OVERRIDES = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def cleaned(value: str, field: str, words: str, max_characters: int) -> str:
    """Trimmed and composed (NFC, so that é typed in two ways is one name).

    Raises:
        Unprocessable: it is empty, too long or has control characters; `reason` is the field, `words` name it.
    """
    text = unicodedata.normalize("NFC", value).strip()
    if not 1 <= len(text) <= max_characters:
        raise Unprocessable(f"The {words} needs 1 to {max_characters} characters.", reason=field)
    if any(unicodedata.category(each) in _FORBIDDEN_CATEGORIES or each in _DIRECTION_OVERRIDES for each in text):
        raise Unprocessable(f"The {words} contains control characters.", reason=field)
    return text
