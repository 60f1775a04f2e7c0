"""The words of the pages: every sentence is in a language's file and is used, and nothing is said outside of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from markupsafe import Markup

import server
from server.api.pages import PAGES, WEB
from server.app import create_app
from server.config import Settings
from server.errors import ConfigError
from server.words import LOCALES, Words, plural

ENGLISH: dict[str, str | dict[str, str]] = json.loads((LOCALES / "en.json").read_text(encoding="utf-8"))
TEMPLATES = sorted((WEB / "templates").glob("*.html"))
SCRIPTS = sorted(WEB.glob("*.js"))

JINJA = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
# What is the same in every language: names of files and settings, and the product's own name.
SAME_EVERYWHERE = re.compile(r"<code\b.*?</code>|SurveillX|&\w+;", re.DOTALL)
READ_ALOUD = re.compile(r'\s(?:alt|title|placeholder|aria-label|aria-description|label)="([^"]*)"')
COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'`])//[^\n]*", re.DOTALL)
SENTENCE = re.compile(r"""(["'`])(?=[A-Z][a-z]|[a-z]+ [a-z]+ [a-z]+ )((?:(?!\1)[^\\\n])*)\1""")
SHOWN = re.compile(
    r"""\b(?:textContent|ariaLabel|title|alt|placeholder)\s*[:=]\s*(["'`])((?:(?!\1).)*[A-Za-z](?:(?!\1).)*)\1"""
)


def used_keys() -> set[str]:
    """Every key that a template or a script names."""
    templates = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES)
    scripts = "".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    advice = (Path(server.__file__).parent / "advice.py").read_text(encoding="utf-8")
    return {
        *re.findall(r'\bt\(\s*"([^"]+)"', templates),
        *re.findall(r'\btext\(\s*"([^"]+)"', scripts + advice),
        *(name for _path, name in PAGES),
        *(f"connection.{name}" for name in re.findall(r'(?:strings\.connection|step|skip)\("([a-z_]+)"', scripts)),
        *(
            key
            for key in ENGLISH
            if key.startswith("connection.") and f'"{key.removeprefix("connection.")}"' in scripts
        ),
        *(f"problem.{kind}{part}" for kind in re.findall(r'"([a-z]+_[a-z_]+)"', advice) for part in ("", ".todo")),
    }


def sentences(entry: str | dict[str, str]) -> list[str]:
    return [entry] if isinstance(entry, str) else list(entry.values())


def test_every_key_exists_and_is_used() -> None:
    assert used_keys() - ENGLISH.keys() == set(), "not in web/locales/en.json"
    assert ENGLISH.keys() - used_keys() == set(), "nobody shows these"


@pytest.mark.parametrize("file", sorted(LOCALES.glob("*.json")), ids=lambda path: path.name)
def test_every_language_says_the_same(file: Path) -> None:
    other = json.loads(file.read_text(encoding="utf-8"))
    assert other.keys() == ENGLISH.keys()
    for key, entry in other.items():
        ours, theirs = ([set(re.findall(r"\{(\w+)\}", each)) for each in sentences(of)] for of in (ENGLISH[key], entry))
        # "One more was present" need not say the number; the form for any other number says everything.
        assert theirs[-1] == ours[-1], key
        assert all(each <= ours[-1] for each in theirs), key


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_words(path: Path) -> None:
    page = SAME_EVERYWHERE.sub("", JINJA.sub("", path.read_text(encoding="utf-8")))
    bare = [*re.findall(r">([^<]*[A-Za-z][^<]*)<", page), *(each for each in READ_ALOUD.findall(page) if each.strip())]
    assert bare == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_hold_no_words(path: Path) -> None:
    script = COMMENT.sub("", path.read_text(encoding="utf-8"))
    # What only programmers read: errors of the code itself, and names of types, headers and media.
    script = re.sub(r"new (?:Type|Range)?Error\([^\n]*", "", script)
    found = [words for _, words in (*SENTENCE.findall(script), *SHOWN.findall(script))]
    assert [words for words in found if re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}|[.…?!]$", words)] == []


def test_words_fill_in_values_and_escape_them(tmp_path: Path) -> None:
    english = {"hello": 'Hello "{name}" & <all>', "days": {"one": "{count} day", "other": "{count} days"}}
    (tmp_path / "en.json").write_text(json.dumps(english), encoding="utf-8")
    t = Words("en", tmp_path)
    assert str(t("hello", name="<b>")) == "Hello &#34;&lt;b&gt;&#34; &amp; &lt;all&gt;"
    assert "<code>x</code>" in t("hello", name=Markup("<code>x</code>"))
    assert [str(t("days", count=each)) for each in (0, 1, 2)] == ["0 days", "1 day", "2 days"]


def test_another_language_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "en.json").write_text('{"yes": "Yes", "new": "New"}', encoding="utf-8")
    (tmp_path / "pl.json").write_text('{"yes": "Tak"}', encoding="utf-8")
    t = Words("pl", tmp_path)
    assert (t("yes"), t("new"), t.language, t.files) == ("Tak", "New", "pl", ["en.json", "pl.json"])
    (tmp_path / "pl.json").write_text('{"yes": ["Tak"]}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"pl\.json: 'yes' must be a sentence"):
        Words("pl", tmp_path)
    (tmp_path / "pl.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cannot be read: pl\.json"):
        Words("pl", tmp_path)


def test_unknown_language_ends_the_start_and_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"language = 'tlh': there is .*en"):
        create_app(Settings(data=tmp_path, language="tlh"))


@pytest.mark.parametrize(
    ("language", "categories"),
    [
        ("en", "other one other other other"),
        ("hi", "one one other other other"),
        ("ja", "other other other other other"),
        ("ru", "many one few many one"),
        ("pl", "many one few many many"),
        ("ar", "zero one two few many"),
    ],
)
def test_plural_forms_are_the_browsers(language: str, categories: str) -> None:
    assert [plural(language, count) for count in (0, 1, 2, 5, 21)] == categories.split()
