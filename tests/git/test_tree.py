"""A snapshot becomes exactly the tree the user's own git would make of the same files."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import GitError
from pipeline.git.base import read_base
from pipeline.git.command import Git
from pipeline.git.tree import TreeStore
from sandbox.base import FileState, Snapshot
from sandbox.judgement import fold
from tests.git.repositories import fingerprint, git, make_repository, write

FILES = {
    "a.txt": b"one\n",
    "crlf.txt": b"one\r\ntwo\r\n",
    "docs/über uns.md": "größe\n".encode(),
    "run.sh": b"#!/bin/sh\n",
    "src/pkg/mod.py": b"def f():\n    return 1\n",
    "bytes.bin": bytes(range(256)),
}


def store(tmp_path: Path, files: dict[str, bytes] | None = None) -> tuple[Path, TreeStore]:
    folder = make_repository(tmp_path / "user", files or FILES)
    runs = Git(folder, tmp_path / "objects")
    return folder, TreeStore(runs, read_base(runs, git(folder, "rev-parse", "HEAD")))


def tree_of_checkout(folder: Path) -> str:
    git(folder, "add", "-A")
    return git(folder, "write-tree")


def test_modified_added_deleted_executable_and_linked_files_give_the_tree_of_git_add(tmp_path: Path) -> None:
    folder, trees = store(tmp_path)
    tree = trees.write(
        Snapshot(
            {
                "a.txt": FileState("100644", b"two\n"),
                "bytes.bin": None,
                "crlf.txt": FileState("100644", b"three\r\n"),
                "link": FileState("120000", b"src/pkg"),
                "new dir/ü.sh": FileState("100755", b"#!/bin/sh\nexit 0\n"),
                "src/pkg/mod.py": FileState("100755", FILES["src/pkg/mod.py"]),
            }
        )
    )
    (folder / "bytes.bin").unlink()
    (folder / "link").symlink_to("src/pkg")
    (folder / "src/pkg/mod.py").chmod(0o755)
    for path, content in {"a.txt": b"two\n", "crlf.txt": b"three\r\n", "new dir/ü.sh": b"#!/bin/sh\nexit 0\n"}.items():
        write(folder, path, content)
    assert tree == tree_of_checkout(folder)


def test_line_endings_and_filters_of_the_repository_never_change_a_byte(tmp_path: Path) -> None:
    files = {".gitattributes": b"* text=auto eol=crlf\n*.txt filter=upper\n", "a.txt": b"one\n"}
    folder, trees = store(tmp_path, files)
    git(folder, "config", "core.autocrlf", "true")
    git(folder, "config", "filter.upper.clean", "tr a-z A-Z")
    tree = trees.write(Snapshot({"a.txt": FileState("100644", b"mixed\r\nends\n")}))
    kept = Git(folder, tmp_path / "objects").run("cat-file", "blob", f"{tree}:a.txt")
    assert kept == b"mixed\r\nends\n"


def test_a_file_may_make_way_for_a_folder_and_back(tmp_path: Path) -> None:
    folder, trees = store(tmp_path)
    there = Snapshot({"a.txt": None, "a.txt/inner": FileState("100644", b"x"), "src/pkg/mod.py": None})
    tree = trees.write(there)
    names = Git(folder, tmp_path / "objects").run("ls-tree", "-r", "--name-only", tree).decode().split("\n")
    assert "a.txt/inner" in names
    assert "src/pkg/mod.py" not in names
    back = Snapshot({"src/pkg/mod.py": None, "src/pkg": FileState("100644", b"now a file")})
    assert (
        "src/pkg" in Git(folder, tmp_path / "objects").run("ls-tree", "-r", "--name-only", trees.write(back)).decode()
    )


def test_an_empty_snapshot_is_the_base_tree_and_an_emptied_one_the_empty_tree(tmp_path: Path) -> None:
    folder, trees = store(tmp_path)
    assert trees.write(Snapshot()) == git(folder, "rev-parse", "HEAD^{tree}")
    assert trees.write(Snapshot(dict.fromkeys(FILES))) == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    assert trees.paths(Snapshot(dict.fromkeys(FILES))) == frozenset()


def test_the_users_git_folder_stays_byte_identical_whatever_is_written(tmp_path: Path) -> None:
    folder, trees = store(tmp_path)
    git(folder, "config", "core.splitIndex", "true")
    before = fingerprint(folder)
    snapshot = Snapshot({"a.txt": FileState("100644", os.urandom(100_000)), "n": FileState("100644", b"n")})
    trees.write(snapshot)
    trees.diff(Snapshot(), snapshot)
    trees.read_file("src/pkg/mod.py", snapshot)
    assert fingerprint(folder) == before
    assert any((tmp_path / "objects").rglob("*"))


def test_a_diff_is_a_patch_git_applies_to_the_same_tree(tmp_path: Path) -> None:
    folder, trees = store(tmp_path)
    old = Snapshot({"a.txt": FileState("100644", b"two\n")})
    new = Snapshot(
        {
            "a.txt": None,
            "bytes.bin": FileState("100644", bytes(reversed(range(256)))),
            "crlf.txt": FileState("100644", b"one\r\n2\r\n"),
            "link": FileState("120000", b"docs"),
            "run.sh": FileState("100644", FILES["run.sh"]),
            "with \"quote\" and 'tick'": FileState("100644", b"no newline"),
            "ünïcode.txt": FileState("100644", b"x\n"),
        }
    )
    patch = trees.diff(old, new)
    write(folder, "a.txt", b"two\n")
    git(folder, "add", "-A")
    git(folder, "apply", "--index", "-", stdin=patch.encode(errors="surrogateescape"))
    assert git(folder, "write-tree") == trees.write(new)


def test_a_diff_ignores_how_the_repository_likes_its_diffs(tmp_path: Path) -> None:
    folder, trees = store(tmp_path)
    change = Snapshot({"a.txt": FileState("100644", b"two\n")})
    before = trees.diff(Snapshot(), change)
    for key, value in {"diff.noprefix": "true", "diff.mnemonicPrefix": "true", "color.ui": "always"}.items():
        git(folder, "config", key, value)
    fresh = TreeStore(Git(folder, tmp_path / "objects"), read_base(Git(folder), git(folder, "rev-parse", "HEAD")))
    assert fresh.diff(Snapshot(), change) == before
    assert before.startswith("diff --git a/a.txt b/a.txt\n")


def test_files_are_read_from_snapshot_and_base(tmp_path: Path) -> None:
    _, trees = store(tmp_path)
    snapshot = Snapshot({"a.txt": FileState("100644", b"two\n"), "run.sh": None})
    assert trees.read_file("a.txt", snapshot) == b"two\n"
    assert trees.read_file("run.sh", snapshot) is None
    assert trees.read_file("bytes.bin", snapshot) == bytes(range(256))
    assert trees.read_file("docs/über uns.md", snapshot) == "größe\n".encode()
    assert trees.read_file("nowhere", snapshot) is None
    assert trees.paths(snapshot) == FILES.keys() - {"run.sh"}


def test_a_file_too_large_to_keep_is_read_all_the_same(tmp_path: Path) -> None:
    large = os.urandom(300 << 10)
    _, trees = store(tmp_path, {"a.dat": large, "b.dat": b"", "c.dat": b"\n\n"})
    assert [trees.read_file(name, Snapshot()) for name in ("b.dat", "a.dat", "c.dat")] == [b"", large, b"\n\n"]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../out",
        "a/../../b",
        ".git/config",
        "x/.GIT/hooks/y",
        ".git ",
        "git~1/x",
        "a//b",
        "./a",
        "a\nb",
        "",
    ],
)
def test_a_path_no_change_may_have_is_refused(tmp_path: Path, path: str) -> None:
    _, trees = store(tmp_path)
    with pytest.raises(GitError, match="cannot be stored"):
        trees.write(Snapshot({path: FileState("100644", b"x")}))


def test_a_gitmodules_symlink_is_refused(tmp_path: Path) -> None:
    _, trees = store(tmp_path)
    with pytest.raises(GitError, match="gitmodules"):
        trees.write(Snapshot({".gitmodules": FileState("120000", b"/etc/passwd")}))


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Cn", "Zl", "Zp"), exclude_characters="/\\"),
    min_size=1,
    max_size=8,
).filter(lambda name: name not in (".", "..") and not name.casefold().startswith((".git", "git~")) and ":" not in name)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.dictionaries(
        NAMES, st.tuples(st.sampled_from(["100644", "100755"]), st.binary(max_size=50)), max_size=4
    ).filter(lambda files: len({fold(name) for name in files}) == len(files))
)
def test_any_names_and_bytes_come_back_out_of_the_tree(tmp_path_factory: pytest.TempPathFactory, files: dict) -> None:  # type: ignore[type-arg] # shape is in @given
    _, trees = store(tmp_path_factory.mktemp("any"))
    tree = trees.write(Snapshot({f"new/{name}": FileState(mode, content) for name, (mode, content) in files.items()}))
    runs = trees._git
    for name, (_, content) in files.items():
        assert runs.run("cat-file", "blob", f"{tree}:new/{name}") == content
