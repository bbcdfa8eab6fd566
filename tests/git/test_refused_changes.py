"""Hostile changes are refused twice, with a code and a reason: on the way out of the sandbox, and by the host."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.errors import GitError
from pipeline.git.base import read_base
from pipeline.git.command import Git
from pipeline.git.tree import TreeStore
from sandbox.acceptance import MAX_FILE_BYTES, MAX_FILES, MAX_PATH_BYTES
from sandbox.base import BaseTree, FileState, Snapshot, UnacceptableChangeError
from sandbox.worktree import WorkTree
from tests.fakes.lying_container import LyingContainer
from tests.git.repositories import files_below, fingerprint, git, make_repository

BASE = {
    "README.md": b"read\n",
    "src/app.py": b"a\n",
    "src/Ünit.py": b"u\n",
    "docs/guide.md": b"g\n",
}


def file(content: bytes = b"x\n", mode: str = "100644") -> FileState:
    return FileState(mode, content)  # type: ignore[arg-type] # hostile rows hold modes no file has


def link(target: str | bytes) -> FileState:
    return FileState("120000", target.encode() if isinstance(target, str) else target)


@dataclass(frozen=True)
class Row:
    """What comes out, the code it is refused with, and words of the reason."""

    name: str
    files: Mapping[str, FileState | None]
    code: str
    words: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)


ROWS = (
    # symlinks
    Row("absolute link", {"l": link("/etc/passwd")}, "symlink", "absolute"),
    Row("link out of the root", {"l": link("../x")}, "symlink", "out of the tree"),
    Row("link out of the root, deep", {"src/l": link("../../x")}, "symlink", "out of the tree"),
    Row("link that climbs after a name", {"l": link("src/../../x")}, "symlink", ".. after a name"),
    Row("empty link", {"l": link("")}, "symlink"),
    Row("link that is not UTF-8", {"l": link(b"\xff")}, "symlink"),
    Row("link with a line break", {"l": link("a\nb")}, "symlink"),
    Row("link into .git", {"l": link(".git/config")}, "git_path"),
    Row("link into .git, deep", {"src/l": link("../.git/hooks")}, "git_path"),
    Row("file to link", {"README.md": link("/etc/shadow")}, "symlink"),
    Row("file through a new link", {"l": link("src"), "l/app.py": file()}, "conflict", "nothing can be below"),
    Row("file through a link deeper", {"l": link("src"), "l/a/b": file()}, "conflict"),
    Row("link in place of a folder in use", {"src": link("docs")}, "conflict", "is a folder"),
    # .git in all spellings
    *(
        Row(f"path {path!a}", {path: file()}, "git_path", "leads into .git")
        for path in (
            ".git/hooks/pre-commit", ".GIT/config", ".gIt", "a/.git/config", ".git ", ".git.", ".git . .",
            "git~1/config", "GIT~1", "git~2", ".git:$i30/x", ".git::$INDEX_ALLOCATION/x", ".g\u200cit/config",
            ".\u200dgit", "\ufeff.git/x", ".gi\u206ft/config", ".git\u202e",
        )
    ),
    # submodules
    Row("gitlink", {"sub": file(b"", "160000")}, "mode"),
    Row(".gitmodules", {".gitmodules": file()}, "submodule", "submodules cannot"),
    Row(".gitmodules of another case", {".GitModules": file()}, "submodule"),
    Row(".gitmodules by its short name", {"GITMOD~1": file()}, "submodule"),
    Row(".gitmodules deeper", {"a/.gitmodules": file()}, "submodule"),
    Row(".gitmodules as a link", {".gitmodules": link("README.md")}, "submodule"),
    Row("submodule replaced by a file", {"vendored": file()}, "submodule", "submodules cannot"),
    Row("file in a submodule", {"vendored/x.c": file()}, "submodule", "what is in them"),
    # names that only some systems tell apart
    Row("case", {"readme.MD": file()}, "same_name", "only in case"),
    Row("case of a folder", {"SRC/new.py": file()}, "same_name", "differs from src"),
    Row("case of two new files", {"New.py": file(), "new.py": file()}, "same_name"),
    Row("case of two new folders", {"New/a": file(), "new/b": file()}, "same_name"),
    Row("case of a submodule", {"Vendored": file()}, "same_name"),
    Row("accents decomposed", {"src/U\u0308nit.py": file()}, "same_name", "accents"),
    Row("accents decomposed and case", {"src/u\u0308NIT.py": file()}, "same_name"),
    Row("sharp s", {"stra\u00dfe": file(), "STRASSE": file()}, "same_name"),
    Row("kelvin sign", {"\u212a": file(), "k": file()}, "same_name"),
    # files and folders
    Row("file below a file", {"README.md/x": file()}, "conflict", "README.md is a file"),
    Row("file in place of a folder", {"src": file()}, "conflict"),
    Row("file and folder both new", {"n": file(), "n/x": file()}, "conflict"),
    # modes
    *(
        Row(f"mode {mode}", {"n": file(b"", mode)}, "mode")
        for mode in ("100664", "100600", "040000", "104755", "010644", "020666", "140755", "")
    ),
    # spellings
    *(
        Row(f"spelling {ascii(path)[:30]}", {path: file()}, "path")
        for path in (
            "../out", "/etc/passwd", "a//b", "./a", "a/../b", "", ".", "..", "a\\b", "a\nb", "a\rb", "a\x1b[31m",
            "a\x7f", "a\u202eb", "a\u2066b", "a\u200bb", "a\u2028b", "\udcff",
        )
    ),
    Row("long path", {"/".join(["d" * 200] * 21): file()}, "path", f"longer than {MAX_PATH_BYTES}"),
    Row("long name", {"n" * 256: file()}, "path", "255"),
    Row("deleting what has no UTF-8 name", {"odd\udcff.txt": None}, "path"),
    # sizes
    Row("large file", {"n": file(b"x" * (MAX_FILE_BYTES + 1))}, "file_too_large", "10,485,761"),
    Row("many files", {f"n{number}": file() for number in range(MAX_FILES + 1)}, "too_many_files", "2000"),
    Row("large together", {f"n{n}": file(b"x" * MAX_FILE_BYTES) for n in range(6)}, "too_large", "together"),
)  # fmt: skip
# What the sandbox's listing has no words for: a slash at the end means a repository there, a NUL ends a path.
UNSPEAKABLE = (
    Row("folder as a file", {"a/": file()}, "path"),
    Row("NUL", {"a\x00b": file()}, "path"),
)
ADMITTED: Mapping[str, Mapping[str, FileState | None]] = {
    "a link inside": {"l": link("src/app.py"), "src/l": link("../docs")},
    "a renamed case": {"README.md": None, "readme.md": file()},
    "a renamed folder": {"docs/guide.md": None, "Docs/guide.md": file()},
    "a folder becomes a file": {"docs/guide.md": None, "docs": file()},
    "a folder becomes a link": {"docs/guide.md": None, "docs": link("src")},
    "a file becomes a folder": {"README.md": None, "README.md/x": file()},
    "an executable": {"run": file(b"#!/bin/sh\n", "100755")},
    "a name like git's": {
        ".gitignore": file(),
        ".github/x": file(),
        "git": file(),
        "x.git": file(),
        ".gitkeep": file(),
    },
    "files in bounds": {f"n{number}": file() for number in range(MAX_FILES)},
    "a path in bounds": {"/".join(["d" * 199] * 20): file()},
    "a deletion": {"README.md": None},
}


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_repository(tmp_path_factory.mktemp("refused") / "user", BASE)
    head = git(folder, "rev-parse", "HEAD")
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{head},vendored")
    odd = git(folder, "hash-object", "-w", "--stdin", stdin=b"odd\n")
    git(folder, "update-index", "--index-info", stdin=f"100644 {odd}\todd".encode() + b"\xff.txt\n")
    git(folder, "commit", "-q", "-m", "odd things")
    return folder


@pytest.fixture(scope="module")
def base(user: Path) -> BaseTree:
    return read_base(Git(user), git(user, "rev-parse", "HEAD"))


@pytest.mark.anyio
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_it_does_not_leave_the_sandbox(row: Row, base: BaseTree) -> None:
    container = LyingContainer(tuple(base.entries), row.files, row.sizes)
    with pytest.raises(UnacceptableChangeError) as refused:
        await WorkTree(container, base).snapshot()
    assert refused.value.code == row.code
    assert row.words in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("row", [*ROWS, *UNSPEAKABLE], ids=lambda row: row.name)
def test_the_host_does_not_store_it_either(row: Row, base: BaseTree, user: Path, tmp_path: Path) -> None:
    before = fingerprint(user)
    store = TreeStore(Git(user, tmp_path / "objects"), base)
    with pytest.raises(GitError, match="cannot be stored") as refused:
        store.write(Snapshot(row.files))
    assert f"({row.code})" in str(refused.value)
    assert row.words in str(refused.value)
    assert str(refused.value).isprintable()
    assert not files_below(tmp_path)
    assert fingerprint(user) == before


@pytest.mark.anyio
@pytest.mark.parametrize("name", ADMITTED)
async def test_an_honest_change_passes_both(name: str, base: BaseTree, user: Path, tmp_path: Path) -> None:
    files = ADMITTED[name]
    snapshot = await WorkTree(LyingContainer(tuple(base.entries), files, {}), base).snapshot()
    assert snapshot.files == files
    store = TreeStore(Git(user, tmp_path / "objects"), base)
    tree = store.write(snapshot)
    listed = Git(user, tmp_path / "objects").run("ls-tree", "-r", "-z", "--name-only", tree).split(b"\0")
    assert {path.encode() for path, state in files.items() if state} <= set(listed)


@pytest.mark.anyio
async def test_sizes_are_judged_before_any_content_moves(base: BaseTree) -> None:
    container = LyingContainer(tuple(base.entries), {"bomb": file(b"")}, {"bomb": 3 << 30})
    with pytest.raises(UnacceptableChangeError, match="3,221,225,472 bytes"):
        await WorkTree(container, base).snapshot()
    assert container.fetched == []


@pytest.mark.anyio
async def test_a_file_that_grew_after_it_was_judged_is_judged_again(base: BaseTree) -> None:
    container = LyingContainer(tuple(base.entries), {"bomb": file(b"x" * (MAX_FILE_BYTES + 1))}, {"bomb": 1})
    with pytest.raises(UnacceptableChangeError, match="10,485,761 bytes"):
        await WorkTree(container, base).snapshot()
