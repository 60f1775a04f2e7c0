"""Real databases brought up to date: new ones, the first release's with data in it, the school's, and too new ones."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

import server.migrations
from server.database import Database
from server.errors import ConfigError
from server.migrations import REVISIONS, VERSION_TABLE
from server.recognition.people import PeopleStore
from tests.schema import differences, start_at_once

# What the first release made, as SQLite has it in sqlite_master.
FIRST_RELEASE = """
    CREATE TABLE students (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, name VARCHAR(100) NOT NULL, roll_no VARCHAR(50), UNIQUE (roll_no)
    );
    CREATE TABLE face_photos (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, student_id INTEGER NOT NULL,
        embedding BLOB NOT NULL, thumbnail BLOB NOT NULL, created_at DATETIME NOT NULL,
        FOREIGN KEY(student_id) REFERENCES students (id) ON DELETE CASCADE
    );
    CREATE INDEX ix_face_photos_student_id ON face_photos (student_id);
    CREATE TABLE attendance_logs (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, student_id INTEGER NOT NULL, day DATE,
        camera_id VARCHAR(100), timestamp DATETIME NOT NULL, distance FLOAT,
        FOREIGN KEY(student_id) REFERENCES students (id) ON DELETE CASCADE
    );
    CREATE UNIQUE INDEX attendance_once_a_day ON attendance_logs (student_id, day);
    CREATE INDEX ix_attendance_logs_day ON attendance_logs (day);
    CREATE TABLE people_revision (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL);
    INSERT INTO people_revision VALUES (1, 0);
    CREATE TRIGGER people_revision_students_INSERT AFTER INSERT ON students
        BEGIN UPDATE people_revision SET revision = revision + 1; END;
    INSERT INTO students VALUES (7, 'Zoë', '17');
    INSERT INTO face_photos VALUES (3, 7, zeroblob(1024), x'ffd8ff', '2026-03-02 07:00:00.000000');
    INSERT INTO attendance_logs VALUES
        (1, 7, '2026-03-02', '1', '2026-03-02 07:30:00.000000', 0.31),
        (2, 7, '2026-03-03', 'door', '2026-03-03 07:31:00.000000', 0.35);
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "surveillx.db"


def upgrade(url: str) -> None:
    Database(url).close()


def test_the_program_knows_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(server.migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS


def test_a_new_file_has_the_tables_of_the_program(file: Path) -> None:
    upgrade(f"sqlite:///{file}")
    assert differences(f"sqlite:///{file}") == []


async def test_the_first_releases_file_keeps_its_people_and_attendance(file: Path) -> None:
    with closing(sqlite3.connect(file)) as first:
        first.executescript(FIRST_RELEASE)
    database = Database(f"sqlite:///{file}")
    assert [(person.id, person.name, person.photos) for person in await PeopleStore(database).list()] == [(7, "Zoë", 1)]
    await database.aclose()
    assert differences(f"sqlite:///{file}") == []
    with closing(sqlite3.connect(file)) as now:
        rows = now.execute("SELECT id, student_id, day, session, camera_id, timestamp, distance FROM attendance_logs")
        assert rows.fetchall() == [
            (1, 7, "2026-03-02", "", "1", "2026-03-02 07:30:00.000000", 0.31),
            (2, 7, "2026-03-03", "", "door", "2026-03-03 07:31:00.000000", 0.35),
        ]
        again = "INSERT INTO attendance_logs (student_id, day, session, timestamp) VALUES (7, '2026-03-02', ?, '')"
        with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
            now.execute(again, ("",))
        now.execute(again, ("afternoon",))


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO students (name) VALUES ('Ann')",
        "UPDATE students SET name = 'Ann'",
        "DELETE FROM face_photos",
        "INSERT INTO no_consent VALUES (7, '')",
        "INSERT INTO not_them (student_id, embedding, created_at) VALUES (7, '', '')",
    ],
)
def test_any_programs_change_of_people_counts(file: Path, change: str) -> None:
    with closing(sqlite3.connect(file)) as first:
        first.executescript(FIRST_RELEASE)
    upgrade(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as other:
        before = other.execute("SELECT revision FROM people_revision").fetchone()
        other.execute(change)
        assert other.execute("SELECT revision FROM people_revision").fetchone() > before


def test_a_database_of_a_newer_version_is_refused(file: Path) -> None:
    upgrade(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as newer:
        newer.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0099'")
        newer.commit()
    with pytest.raises(ConfigError, match=r"A newer version of SurveillX has used this database \(revision 0099"):
        Database(f"sqlite:///{file}")


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(file: Path) -> None:
    with closing(sqlite3.connect(file)) as first:
        first.executescript(FIRST_RELEASE)
        first.execute("CREATE VIEW visitor_faces AS SELECT 1")  # the last of the new tables has no room
        before = list(first.iterdump())
    with pytest.raises(ConfigError):
        Database(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as now:
        assert list(now.iterdump()) == before


def test_several_programs_start_at_once(file: Path) -> None:
    start_at_once(f"sqlite:///{file}")


def test_a_folder_with_a_percent_sign(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path / '100%20 (school)' / 'surveillx.db'}")


def test_the_wheel_holds_the_revisions(tmp_path: Path) -> None:
    repository = Path(server.migrations.__file__).parents[2]
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=repository, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    program = "import sys, server.database as own; own.Database(sys.argv[1]).close(); print(own.__file__)"
    installed = subprocess.run(
        [sys.executable, "-c", program, f"sqlite:///{tmp_path / 'surveillx.db'}"],
        cwd=tmp_path / "installed", check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "installed" in installed.stdout
