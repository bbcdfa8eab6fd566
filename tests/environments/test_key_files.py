"""Setup runs again when a file that says what it installs changes, and not for any other."""

from pathlib import Path

from pipeline.environments.key_files import key_files
from tests.environments.commits import commit

FILES = {
    "package-lock.json": "1",
    "web/package.json": "2",
    "requirements-dev.txt": "3",
    "requirements/ci.txt": "4",
    "scripts/setup.sh": "5",
    "vendor/library/a.py": "6",
    "src/app.py": "7",
    "README.md": "8",
}


def test_lock_and_project_files_count_wherever_they_are(tmp_path: Path) -> None:
    found = key_files(["make"], commit(tmp_path, FILES))
    assert set(found) == {"package-lock.json", "web/package.json", "requirements-dev.txt", "requirements/ci.txt"}


def test_what_a_command_names_counts_and_folders_count_whole(tmp_path: Path) -> None:
    found = key_files(
        ["sh ./scripts/setup.sh", "pip install -e . && pip install 'vendor/library'"], commit(tmp_path, FILES)
    )
    assert {"scripts/setup.sh", "vendor/library/a.py"} < set(found)
    assert not {"src/app.py", "README.md"} & set(found)


def test_the_key_is_the_content_of_the_commit(tmp_path: Path) -> None:
    first = key_files(["make"], commit(tmp_path / "1", FILES))
    assert first == key_files(["make"], commit(tmp_path / "2", {**FILES, "src/app.py": "changed"}))
    assert first != key_files(["make"], commit(tmp_path / "3", {**FILES, "web/package.json": "changed"}))
