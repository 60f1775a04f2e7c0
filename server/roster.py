"""What a folder of a whole class means: which person gets which photos, and what is wrong, in words.

Pure: it sees paths and text, never a file, so that the browser's upload and `surveillx import` follow one rule.

Layouts: `Name/photo.jpg`, `17_Name/photo.jpg`, `Class/Name/photo.jpg`, `Name.jpg`, `17_Name.jpg`, `Name_2.jpg`. A
number in front is the roll number, a number behind a file's name counts the photos of one person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from mimetypes import guess_type
from pathlib import PurePosixPath

from .errors import Unprocessable
from .recognition.identity import cleaned_class, folded, identity, same
from .recognition.people import PersonRecord

MAX_PHOTOS = 10  # of one person

# "17_Ada", "17 - Ada", "A17. Ada", "2024CS01 Ada": a roll number has a digit, and few letters before it.
_NUMBERED = re.compile(r"(?P<roll_no>(?:[^\W\d_]{1,3}-?)?\d[^\s_.]*)(?:\s*[_.]\s*|\s+-\s+|\s+|-)(?P<name>.*[^\W\d_].*)")
_ONLY_NUMBER = re.compile(r"(?:[^\W\d_]{1,3}-?)?\d[^\s_]*")
# "Ada_2", "Ada 2", "Ada (2)": the second photo of Ada.
_COPY = re.compile(r"(?:\s*\(\d+\)|[\s_]\d{1,3})$")
# What cameras and messengers call their files.
# What nobody is called, but many a class is: 8B, 10-a, Class 7.
_CLASS = re.compile(r"\d{1,2}[ .-]?[a-z]|(?:class|grade|year|form)[ _-]?\d{1,2}[ .-]?[a-z]?", re.IGNORECASE)
_NAMELESS = re.compile(
    r"(?:img|dsc[nf]?|pxl|mvimg|image|photo|foto|picture|pic|scan|snapshot|screenshot|whatsapp|portrait|face"
    r"|[\W\d_]|(?<=\d)[ap]m|\bat\b|\b[ap]m\b|wa(?=\d))+"
)
_UNSEEN = {"thumbs.db", "desktop.ini", "__macosx"}


@dataclass(frozen=True, slots=True)
class Label:
    """Who a folder, a file's name or a row says it is."""

    name: str
    roll_no: str | None = None
    class_name: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One person of the class with the photos that are theirs; `person_id` where they are enrolled already."""

    name: str
    roll_no: str | None
    class_name: str | None
    files: tuple[str, ...]
    person_id: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What cannot be used: a file by its path, or a row of the CSV, and why."""

    file: str
    detail: str


@dataclass(slots=True)
class Roster:
    """What was understood, and what was not."""

    entries: list[Entry] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _holders: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def enter(self, label: Label, files: Sequence[str], where: str) -> None:
        """Add a person, unless something about them cannot be stored or an earlier one has the roll number."""
        try:
            name, roll_no = identity(label.name, label.roll_no)
            class_name = cleaned_class(label.class_name)
        except Unprocessable as error:
            self.refuse(where, error.detail)
            return
        if roll_no and folded(roll_no) in self._holders:
            self.refuse(where, f"Roll no. {roll_no} is given to {self._holders[folded(roll_no)]} already.")
            return
        if roll_no:
            self._holders[folded(roll_no)] = name
        self.entries.append(Entry(name, roll_no, class_name, tuple(files[:MAX_PHOTOS])))
        for file in files[MAX_PHOTOS:]:
            self.refuse(file, f"A person can have {MAX_PHOTOS} photos from one import; this is one more.")

    def refuse(self, file: str, detail: str) -> None:
        """Note what cannot be used."""
        self.faults.append(Fault(file, detail))


def read_folder(files: Iterable[str]) -> Roster:
    """What the places of `files` (relative to the chosen folder, with slashes) say."""
    roster = Roster()
    found: dict[tuple[str, ...], list[str]] = {}
    labels: dict[tuple[str, ...], Label] = {}
    for file in photos_among(files, roster):
        label = label_of(file)
        if not label.name:
            roster.refuse(file, _no_name(file))
            continue
        key = tuple(map(folded, (label.roll_no, label.name, label.class_name)))
        labels.setdefault(key, label)
        found.setdefault(key, []).append(file)
    for key, theirs in found.items():
        roster.enter(labels[key], theirs, theirs[0])
    return roster


def assign(roster: Roster, people: Sequence[PersonRecord]) -> Roster:
    """Tell who is enrolled already: by roll number, or else by name and class."""
    assigned = Roster(faults=list(roster.faults))
    enrolled = _Enrolled(people)
    for entry in roster.entries:
        try:
            assigned.entries.append(replace(entry, person_id=enrolled.id_of(entry)))
        except Unprocessable as error:
            for file in entry.files:
                assigned.refuse(file, error.detail)
    return assigned


def is_table(file: str) -> bool:
    """Whether a file lying at the top of a folder is the class's CSV."""
    return "/" not in file and file.lower().endswith((".csv", ".tsv"))


class _Enrolled:
    """Everyone enrolled, by roll number and by name."""

    def __init__(self, people: Sequence[PersonRecord]) -> None:
        self._holders = {folded(each.roll_no): each for each in people if each.roll_no}
        self._namesakes: dict[str, list[PersonRecord]] = {}
        for each in people:
            self._namesakes.setdefault(folded(each.name), []).append(each)

    def id_of(self, entry: Entry) -> int | None:
        """The id of the person an entry means.

        Raises:
            Unprocessable: it contradicts what is known, or could be one of several.
        """
        if entry.roll_no is None:
            return self._by_name(entry)
        holder = self._holders.get(folded(entry.roll_no))
        if holder is not None and not same(holder.name, entry.name):
            raise Unprocessable(f"Roll no. {entry.roll_no} belongs to {holder.name} already.", reason="roll_no_taken")
        return holder.id if holder else None

    def _by_name(self, entry: Entry) -> int | None:
        found = [
            each
            for each in self._namesakes.get(folded(entry.name), [])
            if may_be_one(each.class_name, entry.class_name)
        ]
        if len(found) > 1:
            raise Unprocessable(
                f"There are {len(found)} people called {entry.name}; a roll number would tell who is meant.",
                reason="name_taken",
            )
        return found[0].id if found else None


def may_be_one(class_name: str | None, other: str | None) -> bool:
    """Whether two classes, either of them perhaps unknown, do not tell two people apart."""
    return not class_name or not other or same(class_name, other)


def photos_among(files: Iterable[str], roster: Roster) -> list[str]:
    """The pictures among `files`, in order; what a computer puts beside them is passed over in silence."""
    photos = []
    for file in sorted(files, key=_natural):
        parts = file.split("/")
        if any(part.startswith(".") or part.lower() in _UNSEEN for part in parts) or is_table(file):
            continue
        if (guess_type(parts[-1])[0] or "").startswith("image/") or file.lower().endswith((".heic", ".webp", ".jfif")):
            photos.append(file)
        else:
            roster.refuse(file, "This is not a photo.")
    return photos


def _natural(file: str) -> list[tuple[int, str]]:
    """Sorts Ada_2 before Ada_10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", file.casefold())]


def label_of(file: str) -> Label:
    """Who the place of a photo says it shows; the name is empty where it says none."""
    path = PurePosixPath(file)
    by_file = _parsed(_COPY.sub("", path.stem) or path.stem)
    if len(path.parts) == 1:
        return by_file
    folder = path.parts[-2].strip()
    if _CLASS.fullmatch(folder) and by_file.name:  # 8B/Ada Sample.jpg
        return replace(by_file, class_name=folder)
    label = _parsed(folder)
    return replace(label, class_name=path.parts[-3].strip()) if len(path.parts) > 2 else label


def _parsed(words: str) -> Label:
    words = words.strip()
    numbered = _NUMBERED.fullmatch(words)
    if numbered is None and _ONLY_NUMBER.fullmatch(words):
        return Label("", words)
    if _NAMELESS.fullmatch(words.casefold()):
        return Label("")
    name, roll_no = (numbered["name"], numbered["roll_no"]) if numbered else (words, None)
    return Label(" ".join(name.replace("_", " ").split()), roll_no)


def _no_name(file: str) -> str:
    place = "folder" if "/" in file else "file"
    return f"The {place}'s name does not say who this is. Call it as the person is called."
