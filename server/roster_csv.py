"""What a CSV of a whole class means, given the photos that came with it. Pure, like `roster`.

The first line names the columns: name, roll_no, class and photo, some of them, in any order and case. Several photos
are separated by `;`. Where none is named, those count whose place in the folder says the roll number or the name.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import PurePosixPath

from .errors import Unprocessable
from .recognition.identity import folded, same
from .roster import Label, Roster, label_of, may_be_one, photos_among

_COLUMNS = {
    "name": ("name", "student", "student name", "full name", "pupil"),
    "roll_no": ("roll no", "rollno", "roll", "roll number", "student id", "number", "no", "id"),
    "class_name": ("class", "class name", "classname", "section", "grade", "form"),
    "photo": ("photo", "photos", "file", "files", "filename", "file name", "picture", "pictures", "image", "images"),
}


def read_csv(text: str, files: Iterable[str]) -> Roster:
    """What the rows of a CSV say, given the files that came with it.

    Raises:
        Unprocessable: it cannot be read, or has no column for the name; reason `csv`.
    """
    roster = Roster()
    shelf = _Shelf(photos_among(files, roster))
    for line, row in _rows(text):
        label = Label(row.get("name", ""), row.get("roll_no") or None, row.get("class_name") or None)
        if not any(row.values()):
            continue
        where = f"Line {line}"
        named, missing = shelf.take(row.get("photo", "")), shelf.missing
        for each in missing:
            roster.refuse(where, f"There is no photo {each} among the files.")
        photos = named or ([] if missing else shelf.take_labelled(label))
        if photos:
            roster.enter(label, photos, where)
        elif not missing:
            roster.refuse(where, f"No photo of {label.name or 'this person'} is among the files.")
    for file in shelf.left:
        roster.refuse(file, "No line of the CSV names this photo.")
    return roster


class _Shelf:
    """The photos that came with a CSV; each can be taken once."""

    def __init__(self, photos: Sequence[str]) -> None:
        self.left = dict.fromkeys(photos)  # a set that keeps its order
        self.missing: list[str] = []
        self._called: dict[str, list[str]] = {}
        self._labelled: dict[str, list[tuple[Label, str]]] = {}
        for file in photos:
            self._called.setdefault(folded(PurePosixPath(file).name), []).append(file)
            label = label_of(file)
            for words in filter(None, (label.roll_no, label.name)):
                self._labelled.setdefault(folded(words), []).append((label, file))

    def take(self, cell: str) -> list[str]:
        """The photos that a cell names; what is not there is in `missing`, until the next call."""
        self.missing = []
        return [file for name in re.split(r"[;|\n]", cell) if name.strip() for file in self._named(name)]

    def take_labelled(self, row: Label) -> list[str]:
        """The photos whose places say the roll number, or else the name."""
        candidates = [each for words in (row.roll_no, row.name) for each in self._labelled.get(folded(words), [])]
        found = list(dict.fromkeys(file for place, file in candidates if file in self.left and _is_meant(place, row)))
        for file in found:
            del self.left[file]
        return found

    def _named(self, name: str) -> Iterable[str]:
        found = self._find(name)
        if found is None and "," in name:
            yield from (file for part in name.split(",") if part.strip() for file in self._named(part))
        elif found is None:
            self.missing.append(name.strip())
        else:
            del self.left[found]
            yield found

    def _find(self, name: str) -> str | None:
        """The one photo whose path ends so."""
        wanted = folded(name.replace("\\", "/").strip().removeprefix("./"))
        called = self._called.get(wanted.rpartition("/")[2], [])
        found = [file for file in called if file in self.left and f"/{folded(file)}".endswith(f"/{wanted}")]
        return found[0] if len(found) == 1 else next((file for file in found if folded(file) == wanted), None)


def _is_meant(place: Label, row: Label) -> bool:
    if place.roll_no and row.roll_no:
        return same(place.roll_no, row.roll_no)
    return bool(place.name) and same(place.name, row.name) and may_be_one(place.class_name, row.class_name)


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
