"""Symbols are what a reader of the file would call its parts."""

import pytest

from pipeline.judging.symbols import lost_symbols, symbols

SOURCE = b'''
"""Doc."""
import os
from json import dumps as to_json

A = B = 1
C: int = 2
D, (E, *F) = 1, (2, 3)
a.b = c[0] = 4
if os.name == "nt":
    def windows(): ...
else:
    def other(): ...
try:
    import tomllib
except ImportError:
    tomllib = None
with open("x") as handle:
    inside = 1
for step in ():
    last = step
match A:
    case 1:
        matched = 1

@decorated
async def run():
    hidden = 1
    def inner(): ...

class Outer(Base):
    limit = 3
    def method(self): ...
    class Inner:
        @property
        def value(self): ...
'''


def test_functions_classes_methods_and_assigned_names_are_symbols() -> None:
    found = symbols("m.py", SOURCE) or frozenset()
    assert sorted(found) == sorted(
        [
            *("A", "B", "C", "D", "E", "F", "windows", "other", "tomllib", "inside", "last", "matched", "run", "Outer"),
            *("Outer.limit", "Outer.method", "Outer.Inner", "Outer.Inner.value"),
        ]
    )


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("m.js", b"function f() {}"),
        ("m.py", b"def broken(:"),
        ("m.py", b"x = '\x00'"),
        ("m.py", b"# coding: nowhere\n"),
        ("m.py", b"(" * 10_000),
        ("m.py", b"x = " + b"-" * 100_000 + b"1"),
    ],
)
def test_a_file_that_cannot_be_read_has_unknown_symbols(path: str, source: bytes) -> None:
    assert symbols(path, source) is None


def test_doubtful_escapes_in_somebody_elses_file_are_none_of_our_business() -> None:
    assert symbols("m.py", b'x = "\\d"\n') == frozenset({"x"})


def test_a_byte_order_mark_and_another_encoding_are_read() -> None:
    assert symbols("m.py", b"\xef\xbb\xbfx = 1\n") == frozenset({"x"})
    assert symbols("m.py", "# coding: latin-1\nü = 1\n".encode("latin-1")) == frozenset({"ü"})


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        (b"def f(): ...", b"def f(x): return x", set()),
        (b"def f(): ...", b"f = lambda: 1", set()),
        (b"def f(): ...", b"from n import f", set()),
        (b"def f(): ...", b"from n import g as f", set()),
        (b"def f(): ...", b"def g(): ...", {"f"}),
        (b"def _f(): ...", b"", {"_f"}),
        (b"class C:\n  def m(self): ...", b"class C: ...", {"C.m"}),
        (b"LIMIT = 1", b"", {"LIMIT"}),
        (b"_cache = 1", b"", set()),
        (b"class C:\n  x = 1", b"class C: ...", set()),
        (b"import os", b"", set()),
        (b"def f(): ...\ndef g(): ...", b"def f(:\n", {"g"}),
        (b"class C: ...", b"async def x(:\nclass C(:\n", set()),
        (b"def broken(:", b"", set()),
    ],
)
def test_what_an_edit_removed(before: bytes, after: bytes, lost: set[str]) -> None:
    assert lost_symbols("m.py", before, after) == lost
