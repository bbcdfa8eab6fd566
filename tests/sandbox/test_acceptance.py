"""Paths, links and sizes that may or may not leave a work tree."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.acceptance import MAX_FILE_BYTES, MAX_FILES, refuse_count, refuse_link, refuse_path, refuse_sizes
from sandbox.base import UnacceptableChangeError

NAME = st.text(st.sampled_from("abg.it~1 :GIT\u200c"), min_size=1, max_size=8)


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "src/a.py",
        ".github/workflows/x.yml",
        ".gitignore",
        ".gitattributes",
        "git",
        "x.git",
        ".git2",
        "gitmod",
        "\u00e9",
    ],
)
def test_an_ordinary_path_is_taken(path: str) -> None:
    refuse_path(path)


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("git_path", ".git"),
        ("git_path", "a/.git/hooks/pre-commit"),
        ("git_path", ".GIT/config"),
        ("git_path", ".git ./config"),
        ("git_path", "GIT~1/config"),
        ("git_path", ".git:stream/config"),
        ("git_path", ".g\u200dit/config"),
        ("git_path", "\ufeff.git"),
        ("submodule", ".gitmodules"),
        ("submodule", "a/.GitModules"),
        ("submodule", "gitmod~1"),
        ("submodule", "GI7EBA~2"),
        ("path", "../a"),
        ("path", "a//b"),
        ("path", "/a"),
        ("path", "a/./b"),
        ("path", ""),
        ("path", "a\nb"),
        ("path", "a\x7f"),
        ("path", "a\u2066b"),
        ("path", "a\\b"),
        ("path", "\udcff"),
        ("path", "a" * 5000),
    ],
)
def test_a_path_is_refused_with_its_code(code: str, path: str) -> None:
    with pytest.raises(UnacceptableChangeError) as refused:
        refuse_path(path)
    assert refused.value.code == code
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(("path", "target"), [("l", b"a"), ("d/l", b"../a"), ("d/e/l", b"../../a/b"), ("l", b"./a/b/")])
def test_a_link_inside_is_taken(path: str, target: bytes) -> None:
    refuse_link(path, target)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("l", b"/etc/passwd"),
        ("l", b"../a"),
        ("d/l", b"../../a"),
        ("l", b"d/../../a"),
        ("l", b""),
        ("l", b"a\nb"),
        ("l", b"\xff"),
    ],
)
def test_a_link_that_leaves_or_may_leave_is_refused(path: str, target: bytes) -> None:
    with pytest.raises(UnacceptableChangeError) as refused:
        refuse_link(path, target)
    assert refused.value.code == "symlink"


def test_a_link_into_git_is_refused() -> None:
    with pytest.raises(UnacceptableChangeError) as refused:
        refuse_link("d/l", b"../.git/config")
    assert refused.value.code == "git_path"


@given(
    folders=st.lists(st.sampled_from(["a", "b"]), max_size=3),
    target=st.lists(st.sampled_from(["..", ".", "a", "b", ""]), min_size=1, max_size=6),
)
def test_no_link_that_is_taken_leaves_the_root(folders: list[str], target: list[str]) -> None:
    path, text = "/".join([*folders, "link"]), "/".join(target)
    try:
        refuse_link(path, text.encode())
    except UnacceptableChangeError:
        return
    where = posixpath.normpath(posixpath.join("/root", *folders, text))
    assert where == "/root" or where.startswith("/root/")


@given(path=st.lists(NAME, min_size=1, max_size=3).map("/".join))
def test_no_path_that_is_taken_is_git_for_another_file_system(path: str) -> None:
    try:
        refuse_path(path)
    except UnacceptableChangeError:
        return
    for part in path.split("/"):
        seen = part.replace("\u200c", "").split(":")[0].rstrip(" .").lower()
        assert seen not in {".git", "git~1"}


def test_counts_and_sizes_are_taken_up_to_their_limit_and_no_further() -> None:
    refuse_count(MAX_FILES)
    refuse_sizes({"a": MAX_FILE_BYTES, "b": 5})
    with pytest.raises(UnacceptableChangeError, match="at most 2000 files"):
        refuse_count(MAX_FILES + 1)
    with pytest.raises(UnacceptableChangeError, match="10,485,761 bytes"):
        refuse_sizes({"a": MAX_FILE_BYTES + 1})
    with pytest.raises(UnacceptableChangeError) as refused:
        refuse_sizes({str(number): MAX_FILE_BYTES for number in range(6)})
    assert refused.value.code == "too_large"
