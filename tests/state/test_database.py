"""The database file is private, durable, and its failures are explained."""

import stat
from pathlib import Path

import pytest

from pipeline.errors import InfrastructureError, UsageError
from pipeline.memory.database import open_store


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_file_and_folder_are_private(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/new/state.sqlite")
    with store.begin():
        assert {mode(path) for path in (tmp_path / "new").iterdir()} == {0o600}
    store.close()
    assert mode(tmp_path / "new") == 0o700


def test_a_file_that_was_readable_by_others_is_made_private_and_its_folder_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "state.sqlite").touch(mode=0o644)
    open_store(f"sqlite:///{tmp_path}/state.sqlite").close()
    assert mode(tmp_path / "state.sqlite") == 0o600
    assert mode(tmp_path) == 0o755


def test_commits_reach_the_disk(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/state.sqlite")
    with store.read() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    store.close()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30_000}


def test_a_reader_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/state.sqlite")
    with store.begin() as writing, store.read() as reading:
        writing.exec_driver_sql("INSERT INTO blob VALUES ('a', 'b')")
        assert reading.exec_driver_sql("SELECT count(*) FROM blob").scalar() == 0
    store.close()


@pytest.mark.parametrize("url", ["postgresql://user:secret-word@host/name", "sqlite://", "sqlite:///:memory:"])
def test_what_cannot_hold_state_yet_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(UsageError, match="sqlite:///FILE") as refused:
        open_store(url)
    assert "secret-word" not in str(refused.value)


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError, match="--state-dir"):
        open_store(f"sqlite:///{tmp_path}/file/state.sqlite")


def test_a_file_that_is_no_database_is_explained(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"hello, this is no database" * 100)
    with pytest.raises(InfrastructureError, match="not a database"):
        open_store(f"sqlite:///{tmp_path}/state.sqlite")
