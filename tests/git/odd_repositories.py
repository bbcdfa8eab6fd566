"""Repositories with something unusual in their base commit, made with plain git."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.git.repositories import git, make_repository, write

PLAIN = {"README.md": b"read\n"}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
LONG = "/".join(["d" * 199] * 19 + ["e" * 199])
CRLF = b"one\r\ntwo\r\n"


@dataclass(frozen=True)
class Odd:
    """A repository, a script that changes something in its work tree, and what `git diff --name-status -z` says then.

    `looks` is a command that has to print `sees` in the sandbox before anything is changed.
    """

    name: str
    make: Callable[[Path], object]
    script: str
    changes: tuple[str, ...]
    looks: str = "true"
    sees: bytes = b""


def _submodule(folder: Path) -> None:
    make_repository(folder, {**PLAIN, ".gitmodules": b'[submodule "lib"]\n\tpath = lib\n\turl = ../lib\n'})
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lib")
    git(folder, "commit", "-q", "-m", "submodule")


def _lfs(folder: Path) -> None:
    make_repository(folder, {**PLAIN, "big.bin": POINTER})
    write(folder, ".gitattributes", b"*.bin filter=lfs diff=lfs merge=lfs -text\n")
    git(folder, "add", ".gitattributes")
    git(folder, "commit", "-q", "-m", "lfs")
    for key in ("clean", "smudge", "process"):
        git(folder, "config", f"filter.lfs.{key}", "false")
    git(folder, "config", "filter.lfs.required", "true")


def _links(folder: Path) -> None:
    make_repository(folder, {**PLAIN, "src/a.py": b"a\n"})
    targets = {
        "absolute": "/etc/hostname",
        "up": "../../outside",
        "inside": "src",
        "loop": "loop",
        "dangling": "nowhere",
    }
    for name, target in targets.items():
        (folder / name).symlink_to(target)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "links")


def _names(*names: bytes) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        make_repository(folder, PLAIN)
        blob = git(folder, "hash-object", "-w", "--stdin", stdin=b"odd\n")
        lines = b"".join(f"100644 {blob}\t".encode() + name + b"\0" for name in names)
        git(folder, "update-index", "-z", "--index-info", stdin=lines)
        git(folder, "commit", "-q", "-m", "names")

    return make


def _modes(folder: Path) -> None:
    make_repository(folder, {**PLAIN, "run.sh": b"#!/bin/sh\necho ran\n"})
    git(folder, "config", "core.fileMode", "false")


def _line_ends(attributes: bytes, autocrlf: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        make_repository(folder, {**PLAIN, "dos.txt": CRLF, "unix.txt": b"one\n", "id.c": b"$Id$\n"})
        if attributes:
            write(folder, ".gitattributes", attributes)
            git(folder, "add", ".gitattributes")
            git(folder, "commit", "-q", "-m", "attributes")
        git(folder, "config", "core.autocrlf", autocrlf)

    return make


def _empty_folders(folder: Path) -> None:
    make_repository(folder, {**PLAIN, "kept/.gitkeep": b""})
    (folder / "not/committed").mkdir(parents=True)


def _empty(folder: Path) -> None:
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "nothing")


NEW = ("A", "new.txt")
ADD = "echo new > new.txt"
ODDITIES = (
    Odd("submodule", _submodule, ADD, NEW, "ls -A lib | wc -l", b"0\n"),
    Odd("LFS pointers", _lfs, ADD, NEW, "cat big.bin", POINTER),
    Odd("links", _links, "rm up; echo b > inside/b.py", ("A", "src/b.py", "D", "up"), "readlink absolute up loop",
        b"/etc/hostname\n../../outside\nloop\n"),
    Odd("names that are not UTF-8", _names(b"caf\xe9.txt", b"\xff\xfe/x"), ADD, NEW, "cat caf*.txt", b"odd\n"),
    Odd("names with odd characters",
        _names(b" lead", b"trail ", b"-rf", b"a'b\"c", b"*", b"[x]", b":(glob)y", b"a\\b", b"new\nline", b"t\tab",
               "\U0001f600".encode(), b"#x", b"!y", "e\u0301".encode(), b"CON", b"x."),
        "echo more >> ./-rf; rm './ lead'", ("D", " lead", "M", "-rf"), "cat ./-rf './ lead'", b"odd\nodd\n"),
    Odd("names that only case tells apart", _names(b"Readme.md", b"SRC/a", b"src/a"), "echo x > SRC/a", ("M", "SRC/a")),
    Odd("executable bits", _modes, "chmod -x run.sh; echo x > go; chmod +x go", ("A", "go", "M", "run.sh"), "./run.sh",
        b"ran\n"),
    Odd("CRLF", _line_ends(b"", "false"), "printf 'x\\r\\n' >> dos.txt", ("M", "dos.txt"), "cat dos.txt", CRLF),
    Odd("CRLF under autocrlf", _line_ends(b"", "true"), "printf 'x\\r\\n' > unix.txt", ("M", "unix.txt"),
        "cat dos.txt unix.txt", CRLF + b"one\n"),
    Odd("CRLF under eol=crlf", _line_ends(b"* text=auto eol=crlf\n*.c ident\n", "input"), ADD, NEW,
        "cat dos.txt unix.txt id.c", CRLF + b"one\n$Id$\n"),
    Odd("working-tree-encoding", _line_ends(b"*.txt working-tree-encoding=UTF-16\n", "false"), ADD, NEW, "cat unix.txt",
        b"one\n"),
    Odd("empty folders", _empty_folders, "rmdir -p x/y 2>/dev/null; mkdir -p x/y; echo new > new.txt", NEW, "ls -A",
        b".git\nREADME.md\nkept\n"),
    Odd("long paths", _names(LONG.encode(), b"n" * 255), f"echo more >> {LONG}", ("M", LONG), f"cat {LONG}", b"odd\n"),
    Odd("an empty tree", _empty, ADD, NEW, "ls -A", b".git\n"),
)  # fmt: skip
