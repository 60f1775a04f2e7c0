"""A real PostgreSQL server for the tests: in a folder of its own, on a free port, gone at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg

OWNER = "school"  # who made the school's tables
ROLE = "surveillx"  # who we are

# Not UTC: the school's program writes its own time into columns without a time zone.
TIME_ZONE = "Asia/Kolkata"

SCHOOLS_TABLES: LiteralString = """
    CREATE TABLE students (
        id serial PRIMARY KEY, name varchar, roll_no varchar, contact_no varchar, class varchar,
        face_encoding double precision[], created_at timestamp DEFAULT now()
    );
    CREATE TABLE attendance_logs (
        id serial PRIMARY KEY, student_id integer REFERENCES students(id), timestamp timestamp DEFAULT now()
    );
    INSERT INTO students (name, roll_no, contact_no, class, face_encoding)
        SELECT 'Student ' || n, 'R' || n, '0' || n, 'IX-B', array_agg(sin(n * i))
        FROM generate_series(1, 20) n, generate_series(1, 512) i GROUP BY n ORDER BY n;
    INSERT INTO attendance_logs (student_id, timestamp)
        SELECT s, timestamp '2026-03-02 08:00' + s * interval '1 minute' + again * interval '1 hour'
        FROM generate_series(1, 20) s, generate_series(0, 2) again;
"""


class PostgreSQL:
    """A cluster in `folder`, started and stopped at will; `url` stays the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs = _programs()
        self.port = _free_port()
        self._user = "postgres" if os.geteuid() == 0 else None  # it refuses to be root
        self._run("initdb", "-D", "cluster", "-U", OWNER, "--auth=trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-p {self.port} -h 127.0.0.1 -k {self._folder} -c timezone={TIME_ZONE} -c fsync=off"
        self._run("pg_ctl", "start", "-D", "cluster", "-w", "-l", "log", "-o", options)

    def stop(self) -> None:
        """Stop the server at once, closing every connection."""
        self._run("pg_ctl", "stop", "-D", "cluster", "-w", "-m", "fast")

    def url(self, name: str, role: str = OWNER) -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql://{role}@127.0.0.1:{self.port}/{name}"

    def connect(self, name: str, role: str = OWNER) -> psycopg.Connection:
        """A connection as the school's own program has it; each statement is a transaction."""
        address = f"host=127.0.0.1 port={self.port} dbname={name} user={role}"
        return psycopg.connect(address, autocommit=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        result = subprocess.run(
            command, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"}, user=self._user,
        )  # fmt: skip
        log = self._folder / "log"
        assert result.returncode == 0, result.stderr + (log.read_text() if log.exists() else "")


@contextlib.contextmanager
def running() -> Iterator[PostgreSQL]:
    """A started server; stopped and removed at the end."""
    # Not pytest's tmp_path: the postgres user may not go there, and a socket's path is 107 bytes long at most.
    with tempfile.TemporaryDirectory(prefix="surveillx-pg-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        server = PostgreSQL(folder)
        server.start()
        try:
            with server.connect("postgres") as connection:
                connection.execute(f"CREATE ROLE {ROLE} LOGIN")
            yield server
        finally:
            with contextlib.suppress(AssertionError):  # a test may have left it stopped
                server.stop()


def _programs() -> Path:
    """Where initdb and pg_ctl are: on Debian beside psql's wrapper, not on the path."""
    found = [Path(path).parent for path in [shutil.which("pg_ctl")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    assert found, "These tests need PostgreSQL's server programs: bash tools/system_packages.sh"
    return found[0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
