"""YAML is read with positions, and what makes readers disagree or explode is refused."""
# ruff: noqa: E501 - the printed lines are kept whole, to be compared and searched for

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.tree import Entry, Listing, Node, Scalar, Table
from pipeline.config.yaml_reader import DEPTH, NODES, read_yaml
from pipeline.config.yaml_writer import write_yaml
from pipeline.problem import Position

HERE = Position(path="a.yaml", line=1, column=1)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12)
SCALARS = st.builds(Scalar, TEXTS, st.just(value=False), st.just(HERE))


def tables(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    entries = st.builds(Entry, st.just(HERE), nodes)
    return st.builds(Table, st.dictionaries(TEXTS, entries, max_size=3), st.just(HERE))


TREES = st.recursive(
    SCALARS, lambda nodes: tables(nodes) | st.builds(Listing, st.lists(nodes, max_size=3).map(tuple), st.just(HERE))
)


def plain(node: Node | None) -> object:
    match node:
        case Table():
            return {name: plain(entry.node) for name, entry in node.entries.items()}
        case Listing():
            return [plain(item) for item in node.items]
        case Scalar():
            return node.text
        case None:
            return None


def refusals(text: str) -> list[str]:
    return [problem.line_text() for problem in read_yaml(text, "a.yaml")[1]]


def test_a_value_knows_where_it_stands() -> None:
    root, _ = read_yaml("a:\n  - b: 1\n    c: x\n", "a.yaml")
    assert isinstance(root, Table)
    listing = root.entries["a"].node
    assert isinstance(listing, Listing)
    first = listing.items[0]
    assert isinstance(first, Table)
    assert str(first.entries["c"].at) == "a.yaml:3:5"
    assert str(first.entries["c"].node.at) == "a.yaml:3:8"


def test_merged_keys_yield_to_those_written_out() -> None:
    root, problems = read_yaml("base: &b {x: 1, y: 2}\nown: {<<: *b, y: 3}\n", "a.yaml")
    assert (plain(root), problems) == ({"base": {"x": "1", "y": "2"}, "own": {"x": "1", "y": "3"}}, [])


def test_of_two_merged_mappings_the_first_wins() -> None:
    root, _ = read_yaml("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}\n", "a.yaml")
    assert isinstance(root, Table)
    assert plain(root.entries["c"].node) == {"x": "1", "y": "2"}


def test_a_billion_laughs_are_not_laughed() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert refusals("\n".join(lines)) == [
        f"SW102 a.yaml:5:5: a4: more than {NODES} values once its aliases are put in; shorten it"
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: &x [*x]", "SW102 a.yaml:1:8: a.0: the alias `*x` stands inside its own anchor; define `&x` before it"),
        ("a: *x", "SW102 a.yaml:1:4: a: the alias `*x` has no anchor; define `&x` before it"),
        ("a: 1\n---\nb: 2", "SW102 a.yaml:2:1: a second document starts here; keep one document, remove this `---`"),
        ("a: !!python/name:os.system x", "SW102 a.yaml:1:4: a: the tag `tag:yaml.org,2002:python/name:os.system` is not supported; write the plain value"),
        ("a: !!int 5", "SW102 a.yaml:1:4: a: the tag `tag:yaml.org,2002:int` is not supported; write the plain value"),
        ("? [a, b]\n: 1", "SW102 a.yaml:1:3: a key must be a single word; quote it, or check the `:`"),
        ("a: [1, 2", "SW102 a.yaml:1:9: not valid YAML: expected ',' or ']', but got '<stream end>'; check indentation, colons and quotes"),
        ("a: 1\n\tb: 2", "SW102 a.yaml:2:1: not valid YAML: found character '\\t' that cannot start any token; check indentation, colons and quotes"),
        ("a: \x00", "SW102 a.yaml: not valid YAML: unacceptable character #x0000: special characters are not allowed; save it as UTF-8 text"),
        ("a: {b: 1, b: 2}", "SW103 a.yaml:1:11: a.b: duplicate key, first at line 1, column 5; keep one of the two"),
        ("a: {<<: 5}", "SW102 a.yaml:1:5: a: `<<` takes a mapping; write `<<: *anchor`"),
    ],
)  # fmt: skip
def test_a_text_that_is_not_plain_yaml_is_refused_where_it_stops(text: str, line: str) -> None:
    assert refusals(text) == [line]


def test_any_depth_is_answered() -> None:
    deep = "[" * 100_000
    assert refusals(deep) == [
        f"SW102 a.yaml:1:{DEPTH + 2}: {'0.' * DEPTH}0: nested deeper than {DEPTH} levels; flatten it"
    ]


@given(st.text(max_size=60))
def test_any_text_is_answered_by_a_tree_or_a_problem(text: str) -> None:
    root, problems = read_yaml(text, "a.yaml")
    assert root is not None or problems or not text.strip() or "#" in text or "-" in text or "%" in text or "." in text


@given(TREES)
def test_what_is_written_is_read_back(tree: Node) -> None:
    root, problems = read_yaml(write_yaml(tree), "a.yaml")
    assert (plain(root), problems) == (plain(tree), [])
