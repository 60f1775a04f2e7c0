"""The words of the pages in the language of the server, from `web/locales/`: one file for each language.

The scripts read the same files (`web/words.js`). What a translation lacks yet, people read in English.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from markupsafe import Markup, escape

from .errors import ConfigError

LOCALES = Path(__file__).resolve().parent.parent / "web" / "locales"
ENGLISH = "en"

Entry = str | dict[str, str]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Words:
    """Called in templates: `t("live.title")`."""

    def __init__(self, language: str, folder: Path = LOCALES) -> None:
        """Read the language's file.

        Raises:
            ConfigError: there is no such language, or its file cannot be used.
        """
        languages = sorted(path.stem for path in folder.glob("*.json"))
        if language not in languages:
            raise ConfigError(f"Setting language = {language!r}: there is {', '.join(languages)}.")
        self.language = language
        #: What the scripts of a page read, for the page to have it fetched early.
        self.files = [f"{each}.json" for each in dict.fromkeys((ENGLISH, language))]
        self._entries: dict[str, Entry] = {}
        for name in self.files:
            self._entries |= _read(folder / name)

    def __call__(self, key: str, **values: object) -> Markup:
        """`text` for a template: what is no markup yet is escaped.

        Raises:
            KeyError: as `text`.
        """
        sentence = str(escape(self._sentence(key, values)))
        return Markup(_PLACEHOLDER.sub(lambda found: str(escape(values[found[1]])), sentence))  # noqa: S704 - escaped

    def text(self, key: str, **values: object) -> str:
        """The sentence for `key`; `count` among the values chooses between its plural forms.

        Raises:
            KeyError: there is no such sentence, or a placeholder has no value.
        """
        return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), self._sentence(key, values))

    def _sentence(self, key: str, values: Mapping[str, object]) -> str:
        entry = self._entries[key]
        if isinstance(entry, str):
            return entry
        return entry.get(plural(self.language, int(str(values["count"]))), entry["other"])


def plural(language: str, count: int) -> str:
    """The plural category of a whole number, as browsers choose it (CLDR)."""
    return _RULES.get(language, _one_or_other)(count)


def _one_or_other(count: int) -> str:
    return "one" if count == 1 else "other"


def _also_none_is_one(count: int) -> str:
    return "one" if count in (0, 1) else "other"


def _always_other(_count: int) -> str:
    return "other"


def _slavic(count: int) -> str:
    if count % 10 == 1 and count % 100 != 11:
        return "one"
    return "few" if count % 10 in (2, 3, 4) and count % 100 not in (12, 13, 14) else "many"


def _polish(count: int) -> str:
    category = _slavic(count)
    return "many" if category == "one" and count != 1 else category


def _arabic(count: int) -> str:
    if count in (0, 1, 2):
        return ("zero", "one", "two")[count]
    rest = count % 100
    return "few" if 3 <= rest <= 10 else "many" if rest >= 11 else "other"


_RULES: Mapping[str, Callable[[int], str]] = {
    **dict.fromkeys(("bn", "fa", "fr", "gu", "hi", "kn", "pa", "pt"), _also_none_is_one),
    **dict.fromkeys(("id", "ja", "ko", "ms", "th", "vi", "zh"), _always_other),
    **dict.fromkeys(("ru", "uk"), _slavic),
    "ar": _arabic,
    "pl": _polish,
}


def _read(file: Path) -> dict[str, Entry]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"The words of a language cannot be read: {file.name}: {error}.") from error
    for key, entry in entries.items() if isinstance(entries, dict) else [("", None)]:
        if not isinstance(entry, str) and not (isinstance(entry, dict) and isinstance(entry.get("other"), str)):
            raise ConfigError(f"{file.name}: {key!r} must be a sentence, or one for each plural form with 'other'.")
    return dict(entries)
