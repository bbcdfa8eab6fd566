"""What a build would fetch is known before it begins."""

import pytest

from sandbox.dockerfile import Wanted, fetches


def images(text: str, **arguments: str) -> list[tuple[str, int]]:
    return [(wanted.name, wanted.line) for wanted in fetches(text, arguments).images]


def test_every_image_a_dockerfile_starts_from_or_copies_out_of_is_found() -> None:
    text = (
        "# a comment\nARG BASE=one:1\nfrom --platform=linux/amd64 ${BASE} as First\nRUN echo FROM nowhere \\\n"
        "  # a comment inside\n  FROM neither\nFROM first\nCOPY --from=FIRST /a /a\nCOPY --from=0 /a /a\n"
        "COPY --chown=1 --from=tools:2 /b /b\nFROM scratch\nCOPY a b\n"
    )
    assert images(text) == [("one:1", 3), ("tools:2", 10)]
    assert images(text, BASE="other") == [("other", 3), ("tools:2", 10)]
    assert fetches(text, {}).images[0] == Wanted("one:1", 3, "linux/amd64")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("ARG V=3\nFROM python:${V}-slim\n", ["python:3-slim"]),
        ("FROM ${NOT:-fallback}\n", ["fallback"]),
        ("ARG A=1\nFROM ${A:+set}\n", ["set"]),
        ("ARG A=1\nARG B=x$A\nFROM $B\n", ["x1"]),
        ("# escape=`\nFROM `\n  a\n", ["a"]),
        ("ARG A=x\nFROM $A\nARG A=y\nFROM $A\n", ["x", "x"]),
    ],
)
def test_variables_are_filled_as_the_engine_fills_them(text: str, names: list[str]) -> None:
    assert [name for name, _ in images(text)] == names


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "no FROM line"), ("RUN true\n", "no FROM line"), ("FROM ${X}\n", "line 1: FROM"), ("FROM\n", "line 1: FROM")],
)
def test_a_file_that_names_no_image_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fetches(text, {})


def test_files_of_other_hosts_are_found_and_a_variable_counts_as_one() -> None:
    text = (
        'FROM a\nADD https://x.example/y /y\nADD local /z\nADD ["git@x.example:y", "/w"]\nADD --chown=1 $URL /v\n'
        "ADD http-notes.txt /n\n"
    )
    found = fetches(text, {}).remote_files
    assert [(wanted.name, wanted.line) for wanted in found] == [
        ("https://x.example/y", 2), ("git@x.example:y", 4), ("$URL", 5)
    ]  # fmt: skip
