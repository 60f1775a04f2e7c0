"""What a folder or a CSV of a whole class means: which person gets which photos, and what is wrong, in words.

Pure: it sees paths and text, never a file, so that the browser's upload and `surveillx import` follow one rule.

Folders: `Name/photo.jpg`, `17_Name/photo.jpg`, `Class/Name/photo.jpg`, `Name.jpg`, `17_Name.jpg`, `Name_2.jpg`. A
number in front is the roll number, a number behind a file's name counts the photos of one person.
CSV: a first line with the columns name, roll_no, class and photo (some of them, in any order and case). Several photos
are separated by `;`. Where no photo is named, those count whose place in the folder says roll number or name.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import StringIO
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
_NAMELESS = re.compile(
    r"(?:img|dsc[nf]?|pxl|mvimg|image|photo|foto|picture|pic|scan|snapshot|screenshot|whatsapp|portrait|face"
    r"|[\W\d_]|(?<=\d)[ap]m|\bat\b|\b[ap]m\b|wa(?=\d))+"
)
_UNSEEN = {"thumbs.db", "desktop.ini", "__macosx"}

_COLUMNS = {
    "name": ("name", "student", "student name", "full name", "pupil"),
    "roll_no": ("roll no", "rollno", "roll", "roll number", "student id", "number", "no", "id"),
    "class_name": ("class", "class name", "classname", "section", "grade", "form"),
    "photo": ("photo", "photos", "file", "files", "filename", "file name", "picture", "pictures", "image", "images"),
}


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

    def refuse(self, file: str, detail: str) -> None:
        """Note what cannot be used."""
        self.faults.append(Fault(file, detail))


def read_folder(files: Iterable[str]) -> Roster:
    """What the places of `files` (relative to the chosen folder, with slashes) say."""
    roster = Roster()
    found: dict[tuple[str, ...], list[str]] = {}
    labels: dict[tuple[str, ...], _Label] = {}
    for file in _photos(files, roster):
        label = _label(file)
        if not label.name:
            roster.refuse(file, _no_name(file))
            continue
        key = tuple(map(folded, (label.roll_no, label.name, label.class_name)))
        labels.setdefault(key, label)
        found.setdefault(key, []).append(file)
    for key, theirs in found.items():
        _enter(roster, labels[key], theirs, theirs[0])
    return roster


def read_csv(text: str, files: Iterable[str]) -> Roster:
    """What the rows of a CSV say, given the files that came with it.

    Raises:
        Unprocessable: it cannot be read, or has no column for the name; reason `csv`.
    """
    roster = Roster()
    shelf = _Shelf(_photos(files, roster))
    for line, row in _rows(text):
        label = _Label(row.get("name", ""), row.get("roll_no") or None, row.get("class_name") or None)
        if not any(row.values()):
            continue
        where = f"Line {line}"
        named, missing = shelf.take(row.get("photo", "")), shelf.missing
        for each in missing:
            roster.refuse(where, f"There is no photo {each} among the files.")
        photos = named or ([] if missing else shelf.take_labelled(label))
        if photos:
            _enter(roster, label, photos, where)
        elif not missing:
            roster.refuse(where, f"No photo of {label.name or 'this person'} is among the files.")
    for file in shelf.left:
        roster.refuse(file, "No line of the CSV names this photo.")
    return roster


def assign(roster: Roster, people: Sequence[PersonRecord]) -> Roster:
    """Tell who is enrolled already: by roll number, or else by name and class."""
    assigned = Roster(faults=list(roster.faults))
    for entry in roster.entries:
        try:
            assigned.entries.append(replace(entry, person_id=_enrolled(entry, people)))
        except Unprocessable as error:
            for file in entry.files:
                assigned.refuse(file, error.detail)
    return assigned


def is_table(file: str) -> bool:
    """Whether a file lying at the top of a folder is the class's CSV."""
    return "/" not in file and file.lower().endswith((".csv", ".tsv"))


@dataclass(frozen=True, slots=True)
class _Label:
    """Who a folder, a file's name or a row says it is."""

    name: str
    roll_no: str | None = None
    class_name: str | None = None


def _enter(roster: Roster, label: _Label, files: Sequence[str], where: str) -> None:
    """Add a person, unless something about them cannot be stored or contradicts an earlier one."""
    try:
        name, roll_no = identity(label.name, label.roll_no)
        class_name = cleaned_class(label.class_name)
    except Unprocessable as error:
        roster.refuse(where, error.detail)
        return
    namesake = next((each for each in roster.entries if roll_no and same(each.roll_no, roll_no)), None)
    if namesake is not None:
        roster.refuse(where, f"Roll no. {roll_no} is given to {namesake.name} already.")
        return
    for file in files[MAX_PHOTOS:]:
        roster.refuse(file, f"A person can have {MAX_PHOTOS} photos from one import; this is one more.")
    roster.entries.append(Entry(name, roll_no, class_name, tuple(files[:MAX_PHOTOS])))


def _enrolled(entry: Entry, people: Sequence[PersonRecord]) -> int | None:
    """The id of the person an entry means.

    Raises:
        Unprocessable: it contradicts what is known, or could be one of several.
    """
    if entry.roll_no is not None:
        holder = next((each for each in people if same(each.roll_no, entry.roll_no)), None)
        if holder is not None and not same(holder.name, entry.name):
            raise Unprocessable(f"Roll no. {entry.roll_no} belongs to {holder.name} already.", reason="roll_no_taken")
        return holder.id if holder else None
    found = [
        each
        for each in people
        if same(each.name, entry.name)
        and (None in (each.class_name, entry.class_name) or same(each.class_name, entry.class_name))
    ]
    if len(found) > 1:
        raise Unprocessable(
            f"There are {len(found)} people called {entry.name}; a roll number would tell who is meant.",
            reason="name_taken",
        )
    return found[0].id if found else None


def _photos(files: Iterable[str], roster: Roster) -> list[str]:
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


def _label(file: str) -> _Label:
    """Who the place of a photo says it shows; the name is empty where it says none."""
    path = PurePosixPath(file)
    if len(path.parts) == 1:
        return _parsed(_COPY.sub("", path.stem) or path.stem)
    label = _parsed(path.parts[-2])
    return replace(label, class_name=path.parts[-3].strip()) if len(path.parts) > 2 else label


def _parsed(words: str) -> _Label:
    words = words.strip()
    numbered = _NUMBERED.fullmatch(words)
    if numbered is None and _ONLY_NUMBER.fullmatch(words):
        return _Label("", words)
    if _NAMELESS.fullmatch(words.casefold()):
        return _Label("")
    name, roll_no = (numbered["name"], numbered["roll_no"]) if numbered else (words, None)
    return _Label(" ".join(name.replace("_", " ").split()), roll_no)


def _no_name(file: str) -> str:
    place = "folder" if "/" in file else "file"
    return f"The {place}'s name does not say who this is. Call it as the person is called."


class _Shelf:
    """The photos that came with a CSV; each can be taken once."""

    def __init__(self, photos: Sequence[str]) -> None:
        self.left = list(photos)
        self.missing: list[str] = []

    def take(self, cell: str) -> list[str]:
        """The photos that a cell names; what is not there is in `missing`, until the next call."""
        self.missing = []
        return [file for name in re.split(r"[;|\n]", cell) if name.strip() for file in self._named(name)]

    def take_labelled(self, label: _Label) -> list[str]:
        """The photos whose places say the roll number, or else the name."""
        found = [file for file in self.left if _is_meant(_label(file), label)]
        self.left = [file for file in self.left if file not in found]
        return found

    def _named(self, name: str) -> Iterable[str]:
        found = self._find(name)
        if found is None and "," in name:
            yield from (file for part in name.split(",") if part.strip() for file in self._named(part))
        elif found is None:
            self.missing.append(name.strip())
        else:
            self.left.remove(found)
            yield found

    def _find(self, name: str) -> str | None:
        """The one photo whose path ends so."""
        wanted = folded(name.replace("\\", "/").strip().removeprefix("./"))
        found = [file for file in self.left if folded(file) == wanted or folded(file).endswith(f"/{wanted}")]
        return found[0] if len(found) == 1 else next((file for file in found if folded(file) == wanted), None)


def _is_meant(place: _Label, row: _Label) -> bool:
    if place.roll_no and row.roll_no:
        return same(place.roll_no, row.roll_no)
    same_class = None in (place.class_name, row.class_name) or same(place.class_name, row.class_name)
    return bool(place.name) and same(place.name, row.name) and same_class


def _rows(text: str) -> Iterable[tuple[int, Mapping[str, str]]]:
    """Line number and values by our columns' names.

    Raises:
        Unprocessable: see `read_csv`.
    """
    text = text.removeprefix("\ufeff")
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    try:
        columns = [_column(title) for title in next(reader, [])]
        if "name" not in columns:
            raise _unreadable("it has no column called name. Its first line must tell what the columns are")
        for cells in reader:
            yield reader.line_num, _row(columns, cells)
    except csv.Error as error:
        raise _unreadable(str(error)) from error


def _row(columns: Sequence[str], cells: Sequence[str]) -> Mapping[str, str]:
    row = {column: cell.strip() for column, cell in zip(columns, cells, strict=False) if column}
    if columns[-1] == "photo":  # Excel's semicolons split a list of photos into further cells
        row["photo"] = ";".join(cells[len(columns) - 1 :])
    return row


def _column(title: str) -> str:
    words = " ".join(re.split(r"[\W_]+", title.casefold())).strip()
    return next((column for column, known in _COLUMNS.items() if words in known), "")


def _unreadable(why: str) -> Unprocessable:
    return Unprocessable(
        f"The CSV cannot be used: {why}. An example of a first line: name,roll_no,class,photo.", reason="csv"
    )
