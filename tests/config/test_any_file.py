"""Whatever is written at whatever place, the answer is settings or problems, each with a place, and never a crash."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.format import Either, Kind, Many, Named, Record
from pipeline.config.keypath import child
from pipeline.config.keys import FILE
from tests.config.files import SOUND, loaded

NAMES = ("anthropic", "scripted", "ollama", "gemini-3.8-flash", "*")


def inside(kind: Kind) -> list[tuple[str | int, Kind]]:
    """Return what stands inside a value of a kind."""
    match kind:
        case Record():
            return [(key.name, key.kind) for key in kind.keys]
        case Many():
            return [(0, kind.of), (1, kind.of)]
        case Named():
            return [(name, kind.of) for name in NAMES]
        case Either():
            return inside(kind.structure)
        case _:
            return []


def paths(kind: Kind, path: str) -> Iterator[str]:
    """Yield the path of every value the format knows, and some that it does not."""
    yield child(path, "unknown")
    for name, inner in inside(kind):
        yield child(path, name)
        yield from paths(inner, child(path, name))


PATHS = sorted(set(paths(FILE, "")))
WORDS = ["none", "any_stage", "high", "max", "increased", "scripted", "openai", "opus", "claude-opus-5-5", "20m", "4g",
         "0", "-1", "1e400", ".nan", ".inf", "010", "1:30", "~", "${A:-5}", "${B}", "x" * 300, "../..", "/", "\x07",
         "junit", "https://h/v1", "99999999999999999999999", "chat", "{tests}"]  # fmt: skip
VALUES = st.recursive(
    st.sampled_from(WORDS)
    | st.integers()
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from([*NAMES, "id", "like", "vendor"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=3), trusted=st.booleans())
def test_any_values_anywhere_are_answered(changes: list[tuple[str, object]], *, trusted: bool) -> None:
    overrides = [f"{path}={value if isinstance(value, str) else json.dumps(value)}" for path, value in changes]
    with tempfile.TemporaryDirectory() as folder:
        found = loaded(Path(folder), SOUND, overrides=overrides, trusted=trusted)
    assert (found.settings is None) == bool(found.problems)
    for problem in (*found.problems, *found.warnings):
        assert problem.line_text().isprintable()
        assert problem.path == "command line" or (problem.path == "pipeline.yaml" and problem.line)
        assert problem.hint
