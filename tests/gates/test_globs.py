"""Globs mean what git's ignore files taught everybody they mean."""

import pytest

from pipeline.judging.globs import matches


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("a.py", "a.py", True),
        ("a.py", "deep/er/a.py", True),
        ("/a.py", "deep/a.py", False),
        ("/a.py", "a.py", True),
        ("*.md", "docs/a.md", True),
        ("*.md", "a.mdx", False),
        ("docs", "docs/a/b.md", True),
        ("docs", "src/docs/a.md", True),
        ("docs/", "docs/a.md", True),
        ("docs/", "docs", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/deep/a.py", False),
        ("src/*.py", "lib/src/a.py", False),
        ("src/**", "src/deep/a.py", True),
        ("src/**", "src", False),
        ("src/**/a.py", "src/a.py", True),
        ("src/**/a.py", "src/x/y/a.py", True),
        ("**/test_*.py", "test_a.py", True),
        ("**/test_*.py", "x/y/test_a.py", True),
        ("src/**/", "src/a/b", True),
        ("**", "anything/at/all", True),
        ("*", "anything/at/all", True),
        ("/", "a", True),
        ("", "a", False),
        ("./src", "src/a", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[ab].py", "b.py", True),
        ("[!ab].py", "b.py", False),
        ("[^ab].py", "c.py", True),
        ("x[!a]y", "x/y", False),
        ("[a-c]x", "bx", True),
        ("a[", "a[", True),
        ("a+b(c).py", "a+b(c).py", True),
        ("a.py", "aXpy", False),
        ("SRC", "src/a", False),
        ("new\nline", "new\nline", True),
    ],
)
def test_a_glob_covers_a_path(pattern: str, path: str, *, covered: bool) -> None:
    assert matches(pattern, path) is covered
