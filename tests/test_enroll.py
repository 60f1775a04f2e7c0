"""Enrolling and importing from the command line's side, with the real recogniser and real faces."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from server import cli, enroll
from server.config import Settings
from server.enroll import Line, NewPerson, import_class, read_class
from server.errors import Conflict, NotFound, Unprocessable
from server.recognition.engine import Engine, open_engine
from tests.faces import astronaut, one_of_six, saved, six_people


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine()


@pytest.fixture(autouse=True)
def _one_engine(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the models takes seconds: once is enough."""
    monkeypatch.setattr(enroll, "open_engine", lambda: engine)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


def told(settings: Settings, path: Path) -> list[tuple[str, str, str]]:
    """What an import says of each photo."""
    lines: list[Line] = []
    import_class(settings, path, lines.append)
    return [(line.file, line.name, line.outcome) for line in lines]


def test_someone_enrolled_is_asked_about(settings: Settings, tmp_path: Path) -> None:
    photo = saved(tmp_path / "ada.jpg", astronaut())
    added = enroll.enroll(settings, NewPerson("Ada", "7", "8A", [photo]))
    assert (added.name, added.roll_no, added.class_name, added.photos) == ("Ada", "7", "8A", 1)
    with pytest.raises(Conflict, match="resembles Ada"):
        enroll.enroll(settings, NewPerson("Eve", None, None, [photo]))
    with pytest.raises(Unprocessable, match="not seem to show the same person"):
        enroll.enroll(settings, NewPerson("Eve", None, None, [photo, saved(tmp_path / "b.jpg", one_of_six(0))]))
    assert enroll.enroll(settings, NewPerson("Eve", None, None, [photo], confirmed=True)).photos == 1


def test_a_folder_twice_adds_nothing_twice(settings: Settings, tmp_path: Path) -> None:
    school = tmp_path / "school"
    saved(school / "8A" / "1_Ada" / "a.jpg", astronaut())
    saved(school / "8A" / "1_Ada" / "b.jpg", astronaut()[:420, 40:440])
    saved(school / "8A" / "2_Ben" / "group.jpg", six_people())
    saved(school / "8A" / "2_Ben" / "x.jpg", one_of_six(0))
    saved(school / "8A" / "3_Eve" / "x.jpg", one_of_six(0))
    first = [
        ("8A/1_Ada/a.jpg", "Ada", "person added"),
        ("8A/1_Ada/b.jpg", "Ada", "photo added"),
        ("8A/2_Ben/group.jpg", "Ben", "refused"),
        ("8A/2_Ben/x.jpg", "Ben", "person added"),
        ("8A/3_Eve/x.jpg", "Eve", "refused"),  # it is Ben's photo
    ]
    assert told(settings, school) == first
    assert told(settings, school) == [
        (file, name, outcome if outcome == "refused" else "already there") for file, name, outcome in first
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_csv_names_the_photos(settings: Settings, tmp_path: Path, encoding: str) -> None:
    saved(tmp_path / "class" / "photos" / "1.jpg", astronaut())
    table = tmp_path / "class" / "list.csv"
    table.write_bytes("Name;Roll No;Photo\r\nZoë;1;photos\\1.jpg\r\nBen;2;photos/2.jpg\r\n".encode(encoding))
    for path in (table, table.parent):
        _, roster = read_class(path)
        assert [(each.name, each.files) for each in roster.entries] == [("Zoë", ("photos/1.jpg",))]
    assert told(settings, table) == [("Line 3", "", "refused"), ("photos/1.jpg", "Zoë", "person added")]


def test_a_path_that_is_none(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no folder or file"):
        import_class(settings, tmp_path / "absent", print)


def test_looking_after_people_by_command(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def people(*arguments: str) -> list[str]:
        assert cli.main(["people", arguments[0], "--data", str(settings.data), *arguments[1:]]) == 0
        return capsys.readouterr().out.splitlines()

    saved(tmp_path / "school" / "8A" / "Ada" / "a.jpg", astronaut())
    assert cli.main(["import", str(tmp_path / "school"), "--data", str(settings.data)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "8A/Ada/a.jpg (Ada): person added",
        "People added: 1, further photos: 0, already there: 0, refused: 0",
    ]
    assert people("list") == ["1\tAda\t\t8A\t1 photo\t"]
    assert people("list", "--class", "8B") == []
    assert people("rename", "1", "Ada L.", "--roll-no", "7", "--class", "") == ["1\tAda L.\t7\t\t1 photo\t"]
    assert people("consent", "1", "no") == ["1\tAda L.\t7\t\t1 photo\tno consent"]
    monkeypatch.setattr("builtins.input", lambda question: "no")
    assert people("delete", "1") == ["Nothing was deleted."]
    monkeypatch.undo()
    monkeypatch.setattr("sys.stdin", StringIO(""))
    assert people("delete", "1")[-1] == "Nothing was deleted.", "nobody can answer"
    receipt = people("delete", "1", "--yes")
    assert receipt[0].startswith("Deleted Ada L. at ")
    assert "  pictures of the face    1" in receipt
    assert cli.main(["people", "delete", "1", "--yes", "--data", str(settings.data)]) == 1
    assert "no such person" in capsys.readouterr().err
