"""The backup of the database: whole while others write, and never half a file."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.store.snapshot import main, take_snapshot


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "glovebox.sqlite"
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE pairs (one INTEGER, other INTEGER)")
        made.executemany("INSERT INTO pairs VALUES (?, ?)", [(n, n) for n in range(5000)])
    return path


def test_a_copy_is_one_transactions_state_while_others_write(database: Path, tmp_path: Path) -> None:
    stopping = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(database, timeout=30)) as writer:
            while not stopping.is_set():
                with writer:
                    writer.execute("UPDATE pairs SET one = one + 1")
                    writer.execute("UPDATE pairs SET other = other + 1")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(5):
            take_snapshot(database, tmp_path / f"copy-{number}")
    finally:
        stopping.set()
        thread.join()
    for number in range(5):
        with closing(sqlite3.connect(tmp_path / f"copy-{number}")) as copy:
            rows, torn = copy.execute("SELECT count(*), sum(one != other) FROM pairs").fetchone()
            assert (rows, torn) == (5000, 0)


def test_what_cannot_be_copied_leaves_no_copy_and_harms_nothing(database: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no database"):
        take_snapshot(tmp_path / "missing", tmp_path / "copy")
    broken = tmp_path / "broken"
    content = bytearray(database.read_bytes())
    content[4096:9000] = b"\xff" * 4904
    broken.write_bytes(content)
    with pytest.raises(sqlite3.DatabaseError):
        take_snapshot(broken, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert broken.read_bytes() == content


def test_of_postgres_no_copy_is_made_and_it_is_said_what_makes_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GLOVEBOX_DATABASE_URL", "postgresql://glovebox:sesame@db/glovebox")
    with pytest.raises(SystemExit, match=r"pg_dump.*--files-only") as told:
        main([str(tmp_path / "copy")])
    assert "sesame" not in str(told.value)
    assert not (tmp_path / "copy").exists()


def test_the_database_that_is_copied_is_the_one_that_is_used(
    monkeypatch: pytest.MonkeyPatch, database: Path, tmp_path: Path
) -> None:
    for name in ("GLOVEBOX_DATABASE_URL", "GLOVEBOX_CONFIG", "GLOVEBOX_TOKEN", "GLOVEBOX_BIND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GLOVEBOX_DATA", str(tmp_path))
    main([str(tmp_path / "copy")])
    assert (tmp_path / "copy").stat().st_size > 0
