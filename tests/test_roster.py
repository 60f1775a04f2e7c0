"""What folders and CSVs of a class mean."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from server.errors import Unprocessable
from server.recognition.people import PersonRecord
from server.roster import MAX_PHOTOS, Entry, Roster, assign, read_folder
from server.roster_csv import read_csv

NOW = datetime.now(UTC)


def entry(name: str, *files: str, roll_no: str | None = None, class_name: str | None = None) -> Entry:
    return Entry(name, roll_no, class_name, files)


def faults(roster: Roster) -> dict[str, str]:
    return {each.file: each.detail for each in roster.faults}


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("Ada Lovelace/1.jpg", entry("Ada Lovelace", "Ada Lovelace/1.jpg")),
        ("17_Ada/IMG_0001.JPG", entry("Ada", "17_Ada/IMG_0001.JPG", roll_no="17")),
        ("8A/Ada/x.png", entry("Ada", "8A/Ada/x.png", class_name="8A")),
        ("2026/8A/17 - Ada/x.png", entry("Ada", "2026/8A/17 - Ada/x.png", roll_no="17", class_name="8A")),
        ("8A/17_Ada.jpg", entry("Ada", "8A/17_Ada.jpg", roll_no="17", class_name="8A")),
        ("Class 7/Ada_2.jpg", entry("Ada", "Class 7/Ada_2.jpg", class_name="Class 7")),
        ("Ada.jpg", entry("Ada", "Ada.jpg")),
        ("17_Ada.jpg", entry("Ada", "17_Ada.jpg", roll_no="17")),
        ("Ada_2.jpg", entry("Ada", "Ada_2.jpg")),
        ("17_Ada_Lovelace (3).webp", entry("Ada Lovelace", "17_Ada_Lovelace (3).webp", roll_no="17")),
        ("2024CS01 Ada.jpeg", entry("Ada", "2024CS01 Ada.jpeg", roll_no="2024CS01")),
        ("B-12. 学生 一.bmp", entry("学生 一", "B-12. 学生 一.bmp", roll_no="B-12")),
        ("Anna-Maria O'Neil.jpg", entry("Anna-Maria O'Neil", "Anna-Maria O'Neil.jpg")),
        ("<b>Bob/1.jpg", entry("<b>Bob", "<b>Bob/1.jpg")),
    ],
)
def test_a_place_in_the_folder_says_who_it_is(file: str, expected: Entry) -> None:
    assert read_folder([file]) == Roster([expected])


def test_photos_of_one_person_come_together_in_order() -> None:
    roster = read_folder(["17_Ada_10.jpg", "17_Ada_2.jpg", "Ben.jpg", "17_ADA.jpg"])
    assert [(each.name, each.files) for each in roster.entries] == [
        ("ADA", ("17_ADA.jpg", "17_Ada_2.jpg", "17_Ada_10.jpg")),
        ("Ben", ("Ben.jpg",)),
    ]


def test_namesakes_of_two_classes_are_two_people() -> None:
    roster = read_folder(["8A/Ann/1.jpg", "8B/Ann/1.jpg"])
    assert [(each.name, each.class_name) for each in roster.entries] == [("Ann", "8A"), ("Ann", "8B")]


@pytest.mark.parametrize(
    "file", ["IMG_1234.jpg", "17.jpg", "DSC00017.JPG", "photo (2).jpg", "WhatsApp Image 2026-01-05 at 10.02.11 AM.jpeg"]
)
def test_names_that_cameras_give_are_no_ones(file: str) -> None:
    roster = read_folder([file])
    assert roster.entries == []
    assert "does not say who this is" in faults(roster)[file]


def test_what_is_not_a_photo_is_told_and_what_computers_leave_is_not() -> None:
    roster = read_folder(
        ["Ada/notes.txt", "Ada/.DS_Store", "__MACOSX/Ada/1.jpg", "Thumbs.db", "class.csv", "Ada/1.heic"]
    )
    assert faults(roster) == {"Ada/notes.txt": "This is not a photo."}
    assert roster.entries == [entry("Ada", "Ada/1.heic")]


def test_too_many_photos_too_long_names_and_one_number_twice() -> None:
    many = [f"Ada/{place}.jpg" for place in range(MAX_PHOTOS + 1)]
    roster = read_folder([*many, "17_Ben.jpg", "17_Cem.jpg", f"{'x' * 101}.jpg", "A\u202eb.jpg"])
    assert [(each.name, len(each.files)) for each in roster.entries] == [("Ben", 1), ("Ada", MAX_PHOTOS)]
    assert faults(roster) == {
        f"Ada/{MAX_PHOTOS}.jpg": "A person can have 10 photos from one import; this is one more.",
        "17_Cem.jpg": "Roll no. 17 is given to Ben already.",
        f"{'x' * 101}.jpg": "The name needs 1 to 100 characters.",
        "A\u202eb.jpg": "The name contains control characters.",
    }


@pytest.mark.parametrize(
    "text",
    [
        "name,roll_no,class,photo\nAda,17,8A,a.jpg;sub/b.jpg\n",
        "\ufeffName;Roll No.;Class;Photos\r\nAda;17;8A;a.jpg;b.jpg\r\n",
        '\ufeffPHOTO;Student name;Section;ROLLNO\r\n"a.jpg;b.jpg";Ada;8A;17\r\n',
        "class_name\tname\tfile\trollno\n8A\tAda\ta.jpg, B.JPG\t17\n\n",
        "name,roll no,class,image\nAda,17,8A,.\\a.jpg|sub\\b.jpg",
    ],
    ids=["plain", "excel", "other order", "tabs", "windows paths"],
)
def test_csv_as_programs_write_it(text: str) -> None:
    roster = read_csv(text, ["a.jpg", "sub/b.jpg"])
    assert roster == Roster([entry("Ada", "a.jpg", "sub/b.jpg", roll_no="17", class_name="8A")])


def test_csv_without_photos_finds_them_by_number_or_name() -> None:
    text = "name,roll_no,class\nAda,17,8A\nBen,,8A\nCem,19,8A\nAnn,,8B\n"
    roster = read_csv(text, ["17.jpg", "17_2.jpg", "8A/Ben/x.jpg", "8A/Ann/x.jpg"])
    assert [(each.name, each.files) for each in roster.entries] == [
        ("Ada", ("17.jpg", "17_2.jpg")),
        ("Ben", ("8A/Ben/x.jpg",)),
    ]
    assert faults(roster) == {
        "Line 4": "No photo of Cem is among the files.",
        "Line 5": "No photo of Ann is among the files.",
        "8A/Ann/x.jpg": "No line of the CSV names this photo.",
    }


def test_csv_with_what_is_not_there() -> None:
    roster = read_csv("name,photo\nAda,../../etc/passwd;a.jpg\n,b.jpg\nBen,a.jpg\n", ["a.jpg", "b.jpg", "c.jpg"])
    assert [(each.name, each.files) for each in roster.entries] == [("Ada", ("a.jpg",))]
    assert [(each.file, each.detail) for each in roster.faults] == [
        ("Line 2", "There is no photo ../../etc/passwd among the files."),
        ("Line 3", "The name needs 1 to 100 characters."),
        ("Line 4", "There is no photo a.jpg among the files."),
        ("c.jpg", "No line of the CSV names this photo."),
    ]


@pytest.mark.parametrize("text", ["", "\n", "Ada,17,a.jpg\n", "name\n" + "x" * 200_000, "\x00"])
def test_csv_that_is_none(text: str) -> None:
    with pytest.raises(Unprocessable, match="The CSV cannot be used") as caught:
        read_csv(text, [])
    assert caught.value.reason == "csv"


def test_csv_needs_names() -> None:
    with pytest.raises(Unprocessable, match="no column called name"):
        read_csv("roll_no,photo\n17,a.jpg", ["a.jpg"])


def person(person_id: int, name: str, roll_no: str | None = None, class_name: str | None = None) -> PersonRecord:
    return PersonRecord(person_id, name, roll_no, 1, NOW, class_name)


def test_who_is_enrolled_already() -> None:
    people = [
        person(1, "Ada", "17"),
        person(2, "Ben", None, "8A"),
        person(3, "Cem", "4", "8A"),
        person(4, "Cem", "5", "8B"),
    ]
    roster = Roster(
        [
            entry("ada", "1", roll_no="17"),
            entry("Eve", "2", roll_no="17"),
            entry("Ben", "3", class_name="8a"),
            entry("Ben", "4", class_name="8B"),
            entry("Cem", "5", "6"),
            entry("Cem", "7", class_name="8B"),
            entry("Dan", "8", roll_no="99"),
        ]
    )
    assigned = assign(roster, people)
    assert [(each.files, each.person_id) for each in assigned.entries] == [
        (("1",), 1),
        (("3",), 2),
        (("4",), None),
        (("7",), 4),
        (("8",), None),
    ]
    assert faults(assigned) == {
        "2": "Roll no. 17 belongs to Ada already.",
        "5": "There are 2 people called Cem; a roll number would tell who is meant.",
        "6": "There are 2 people called Cem; a roll number would tell who is meant.",
    }
