"""The write gate: its pure half as a table, its sandbox half on real symlinks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.base import FileState, Snapshot
from stages.artifacts import FileChange, WorkItem
from stages.scope import admit, out_of_scope, put_back, scope_refusal
from stages.tool import RefusedError
from tests.fakes.directory_sandbox import DirectorySandbox
from tests.stages.setting import ITEM


@pytest.mark.parametrize(
    ("path", "deleting", "code"),
    [
        ("src/dates.py", False, None),
        ("src/dates.py", True, "operation"),
        ("src/new.py", False, None),
        ("src/new.py", True, None),
        ("README.md", True, None),
        ("README.md", False, "operation"),
        ("tests/test_dates.py", False, "out_of_scope"),
        ("tests/test_dates.py", True, "out_of_scope"),
        ("src/DATES.py", False, "out_of_scope"),
        ("dates.py", False, "out_of_scope"),
        ("src", False, "out_of_scope"),
    ],
)
def test_an_item_allows_what_it_lists_and_nothing_else(path: str, deleting: bool, code: str | None) -> None:  # noqa: FBT001 - a table's column
    refusal = scope_refusal(path, ITEM, deleting=deleting)
    assert (refusal.code if refusal else None) == code


def _item(*files: tuple[str, str]) -> WorkItem:
    changes = [{"path": path, "operation": operation} for path, operation in files]
    return WorkItem(id="i", title="t", instructions="x", files=tuple(FileChange.model_validate(one) for one in changes))


NEW, OLD = FileState("100644", b"new"), FileState("100644", b"old")


@pytest.mark.parametrize(
    ("operation", "before", "after", "strays"),
    [
        ("modify", {}, {"f": NEW}, False),
        ("modify", {"f": OLD}, {"f": NEW}, False),
        ("modify", {"f": OLD}, {}, False),
        ("modify", {}, {"f": None}, True),
        ("create", {}, {"f": NEW}, False),
        ("create", {"f": NEW}, {}, False),
        ("delete", {}, {"f": None}, False),
        ("delete", {"f": None}, {}, False),
        ("delete", {}, {"f": NEW}, True),
        (None, {}, {"f": NEW}, True),
        (None, {}, {"f": None}, True),
        (None, {"f": OLD}, {}, True),
        (None, {"f": OLD}, {"f": OLD}, False),
        (None, {"f": OLD}, {"f": FileState("100755", b"old")}, True),
    ],
)
def test_a_change_a_command_made_strays_where_the_item_does_not_allow_it(
    operation: str | None,
    before: dict[str, FileState | None],
    after: dict[str, FileState | None],
    strays: bool,  # noqa: FBT001 - a table's column
) -> None:
    item = _item((("f", operation)) if operation else ("other", "modify"))
    assert out_of_scope(Snapshot(before), Snapshot(after), item) == (("f",) if strays else ())


_STATES = st.dictionaries(
    st.sampled_from("abcdef"), st.one_of(st.none(), st.sampled_from([OLD, NEW, FileState("120000", b"a")]))
)


@given(_STATES, _STATES, st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["create", "modify", "delete"])))
def test_putting_back_leaves_no_stray_change_and_every_allowed_one(
    before: dict[str, FileState | None], after: dict[str, FileState | None], scope: dict[str, str]
) -> None:
    item, old, new = _item(*scope.items()), Snapshot(before), Snapshot(after)
    strayed = out_of_scope(old, new, item)
    result = put_back(old, new, strayed)
    assert out_of_scope(old, result, item) == ()
    assert set(strayed).isdisjoint(path for path, operation in scope.items() if operation == "create")
    missing = object()
    for path in before.keys() | after.keys():
        kept = before if path in strayed else after
        assert result.files.get(path, missing) == kept.get(path, missing)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("link", "target", "path", "deleting", "outcome"),
    [
        ("src/link.py", "dates.py", "src/link.py", False, "src/dates.py"),
        ("lib", "src", "lib/dates.py", False, "src/dates.py"),
        ("lib", "src", "lib/new.py", False, "src/new.py"),
        ("src/new.py", "dates.py", "src/new.py", True, "src/new.py"),
        ("src/new.py", "../tests/test_dates.py", "src/new.py", False, "out_of_scope"),
        ("src/new.py", "/etc/passwd", "src/new.py", False, "symlink"),
        ("src/new.py", "../../outside.py", "src/new.py", False, "symlink"),
        ("src/new.py", "..", "src/new.py", False, "path"),
        ("src/new.py", "../..", "src/new.py", False, "symlink"),
        ("src/new.py", "../.git/config", "src/new.py", False, "git_path"),
        ("out", "/tmp", "out/new.py", False, "symlink"),
        ("out", "..", "out/new.py", True, "symlink"),
        ("src/link.py", "dates.py", "src/link.py", True, "out_of_scope"),
    ],
)
async def test_symlinks_are_resolved_before_the_scope_is_judged(
    tree: DirectorySandbox,
    link: str,
    target: str,
    path: str,
    deleting: bool,  # noqa: FBT001 - a table's column
    outcome: str,
) -> None:
    (tree.root / link).symlink_to(target)
    try:
        real = await admit(path, ITEM, tree, deleting=deleting)
    except RefusedError as refusal:
        real = refusal.code
    assert real == outcome


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("./src//dates.py", "src/dates.py"),
        ("../src/dates.py", "path"),
        ("/work/src/dates.py", "path"),
        (".GIT/config", "git_path"),
        ("src/other.py", "out_of_scope"),
    ],
)
async def test_a_proposals_path_is_normalised_first(tree: DirectorySandbox, path: str, outcome: str) -> None:
    try:
        real = await admit(path, ITEM, tree, deleting=False)
    except RefusedError as refusal:
        real = refusal.code
    assert real == outcome
