"""One row for each sentence about the gates between Planner and Coder."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import ordered
from pipeline.judging.gates import manifest_failures
from stages.artifacts import Failure, Manifest, WorkItem
from tests.gates.views import FILES, View, item, manifest, ticket


def failure(*items: WorkItem, **rules: Any) -> Failure | None:
    return manifest_failures(
        manifest(*items),
        view=rules.get("view", View(FILES)),
        ticket=ticket(**rules.get("scope", {})),
        accepted=rules.get("accepted", ()),
        limit=rules.get("limit", 12),
        folder=rules.get("folder", ""),
    )


APP = item("app", "modify src/app.py")
Row = tuple[str, list[WorkItem], dict[str, Any], list[str]]
ROWS: list[Row] = [
    ("one item that modifies a file", [APP], {}, []),
    ("create, modify and delete", [item("a", "create src/new.py", "modify README.md", "delete src/old.py")], {}, []),
    # the project's folder
    ("a file in the project's folder", [APP], {"folder": "src"}, []),
    ("a file beside the project's folder", [item("a", "modify README.md")], {"folder": "src"}, ["outside_subdir"]),
    ("a folder that begins alike", [item("a", "create src2/a.py")], {"folder": "src"}, ["outside_subdir"]),
    ("a file named as the folder", [item("a", "create src")], {"folder": "src"}, ["outside_subdir", "file_exists"]),
    # counts and ids
    ("no item", [], {}, ["no_open_item"]),
    ("every item is accepted already", [APP], {"accepted": ["app"]}, ["no_open_item"]),
    ("one item is not accepted yet", [APP, item("b", "modify README.md")], {"accepted": ["app"]}, []),
    ("as many items as allowed", [APP], {"limit": 1}, []),
    ("more items than allowed", [APP, item("b", "modify README.md")], {"limit": 1}, ["too_many_items"]),
    ("too many with the accepted ones", [APP], {"limit": 1, "accepted": ["earlier"]}, ["too_many_items"]),
    (
        "an accepted item that is kept counts once",
        [APP, item("b", "modify README.md")],
        {"limit": 2, "accepted": ["app"]},
        [],
    ),
    ("items of a review do not count", [APP], {"limit": 1, "accepted": ["review-1"]}, []),
    ("two items of one id", [APP, item("app", "modify README.md")], {}, ["duplicate_id"]),
    ("an id of a review", [item("review-1", "modify README.md")], {}, ["reserved_id"]),
    ("an id like a review's", [item("review-one", "modify README.md")], {}, []),
    ("an id with a space", [item("a b", "modify README.md")], {}, ["unusable_id"]),
    ("an id that is a path", [item("../a", "modify README.md")], {}, ["unusable_id"]),
    ("an id without end", [item("a" * 61, "modify README.md")], {}, ["unusable_id"]),
    ("an item without a file", [item("a")], {}, ["no_files"]),
    # dependencies
    ("a dependency", [item("b", "modify README.md", needs=("app",)), APP], {}, []),
    ("a dependency on an accepted item", [item("b", "modify README.md", needs=("x",))], {"accepted": ["x"]}, []),
    ("an unknown dependency", [item("b", "modify README.md", needs=("x",))], {}, ["unknown_dependency"]),
    ("an item that waits for itself", [item("b", "modify README.md", needs=("b",))], {}, ["dependency_cycle"]),
    (
        "two items that wait for each other",
        [item("a", "modify README.md", needs=("b",)), item("b", "modify README.md", needs=("a",))],
        {},
        ["dependency_cycle"],
    ),
    # paths
    ("an absolute path", [item("a", "modify /etc/passwd")], {}, ["path"]),
    ("a path that climbs out", [item("a", "create ../out.py")], {}, ["path"]),
    ("a path that climbs inside", [item("a", "modify src/../README.md")], {}, ["path"]),
    ("a path not in its plain spelling", [item("a", "modify ./README.md")], {}, ["path"]),
    ("a doubled slash", [item("a", "modify src//app.py")], {}, ["path"]),
    ("a folder's slash", [item("a", "modify src/")], {}, ["path"]),
    ("a backslash", [item("a", "create src\\a.py")], {}, ["path"]),
    ("a drive letter", [item("a", "create C:/a.py")], {}, ["path"]),
    ("a leading hyphen", [item("a", "create -rf")], {}, ["path"]),
    ("a name longer than a file system takes", [item("a", "create " + "x" * 256)], {}, ["path"]),
    (".git", [item("a", "modify .git/config")], {}, ["git_path"]),
    (".git in capitals below a folder", [item("a", "create sub/.GIT/hooks/x")], {}, ["git_path"]),
    (".git as Windows abbreviates it", [item("a", "create git~1/config")], {}, ["git_path"]),
    (".git as HFS+ reads it", [item("a", "create .g\u200cit/config")], {}, ["git_path"]),
    (".github and .gitignore", [item("a", "create .github/ci.yml", "create .gitignore")], {}, []),
    ("submodules", [item("a", "create .gitmodules")], {}, ["submodule"]),
    ("a file listed twice", [item("a", "modify README.md", "delete README.md")], {}, ["duplicate_path"]),
    # what exists
    ("a created file exists", [item("a", "create README.md")], {}, ["file_exists"]),
    ("a created file exists as a folder", [item("a", "create src")], {}, ["file_exists"]),
    ("a created file stands below a file", [item("a", "create README.md/x")], {}, ["not_a_folder"]),
    ("a created file stands below a symlink", [item("a", "create docs/link/x")], {}, ["not_a_folder"]),
    ("a created file differs in case only", [item("a", "create readme.md")], {}, ["path_case"]),
    ("a created file's folder differs in case only", [item("a", "create SRC/new.py")], {}, ["path_case"]),
    ("two created files differ in case only", [item("a", "create new/a.py", "create new/A.py")], {}, ["path_case"]),
    (
        "two items' files differ in case only",
        [item("a", "create new/a.py"), item("b", "create new/A.py")],
        {},
        ["path_case"],
    ),
    ("a modified file does not exist", [item("a", "modify src/nowhere.py")], {}, ["missing_file"]),
    ("a deleted file does not exist", [item("a", "delete src/nowhere.py")], {}, ["missing_file"]),
    ("a modified file is a folder", [item("a", "modify src")], {}, ["missing_file"]),
    ("a modified file differs in case", [item("a", "modify SRC/app.py")], {}, ["missing_file"]),
    ("a file an accepted item made", [item("b", "modify n.py")], {"view": View(FILES).changed({"n.py": b""})}, []),
    ("a file an accepted item deleted", [APP], {"view": View(FILES).changed({"src/app.py": None})}, ["missing_file"]),
    ("an accepted item is not judged again", [item("a", "create README.md"), APP], {"accepted": ["a"]}, []),
    ("an accepted item's paths still are", [item("a", "create ../x"), APP], {"accepted": ["a"]}, ["path"]),
    # what earlier items declare
    ("an earlier item creates it", [item("a", "create n.py"), item("b", "modify n.py")], {}, []),
    ("a later item creates it", [item("b", "modify n.py"), item("a", "create n.py")], {}, ["missing_file"]),
    (
        "a dependency further down creates it",
        [item("b", "modify n.py", needs=("a",)), item("a", "create n.py")],
        {},
        [],
    ),
    (
        "an earlier item deletes it",
        [item("a", "delete src/old.py"), item("b", "modify src/old.py")],
        {},
        ["missing_file"],
    ),
    ("an earlier item creates it as well", [item("a", "create n.py"), item("b", "create n.py")], {}, ["file_exists"]),
    ("deleted and made again", [item("a", "delete src/old.py"), item("b", "create src/old.py +new")], {}, []),
    ("a file makes way for a folder", [item("a", "delete README.md"), item("b", "create README.md/x")], {}, []),
    ("a folder makes way for a file", [item("a", "delete docs/link"), item("b", "create docs")], {}, []),
    (
        "a folder an earlier item makes is in the way",
        [item("a", "create n/x"), item("b", "create n")],
        {},
        ["file_exists"],
    ),
    # symbols
    ("symbols that fit", [item("a", "modify src/app.py +new ~run ~App.start ~LIMIT -App")], {}, []),
    ("an added symbol exists", [item("a", "modify src/app.py +run")], {}, ["symbol_exists"]),
    ("a modified symbol does not exist", [item("a", "modify src/app.py ~nowhere")], {}, ["missing_symbol"]),
    ("a removed symbol does not exist", [item("a", "modify src/app.py -App.stop")], {}, ["missing_symbol"]),
    ("a method without its class", [item("a", "modify src/app.py ~start")], {}, ["missing_symbol"]),
    ("a modified symbol of a new file", [item("a", "create n.py ~run")], {}, ["missing_symbol"]),
    ("symbols of a file that does not parse", [item("a", "modify src/broken.py ~nowhere")], {}, []),
    ("symbols of another language", [item("a", "modify web/app.js ~nowhere"), item("b", "create n.js ~x")], {}, []),
    ("an earlier item adds it", [item("a", "modify src/app.py +new"), item("b", "modify src/app.py ~new")], {}, []),
    (
        "a later item adds it",
        [item("b", "modify src/app.py ~new"), item("a", "modify src/app.py +new")],
        {},
        ["missing_symbol"],
    ),
    (
        "an earlier item removes it",
        [item("a", "modify src/app.py -App"), item("b", "modify src/app.py ~App.start")],
        {},
        ["missing_symbol"],
    ),
    ("both add it", [item("a", "modify src/app.py +new"), item("b", "modify src/app.py +new")], {}, ["symbol_exists"]),
    (
        "an earlier item's new file lists its symbols",
        [item("a", "create n.py +C.m"), item("b", "modify n.py ~C ~C.m ~x")],
        {},
        ["missing_symbol"],
    ),
    ("an earlier item's new file lists none", [item("a", "create n.py"), item("b", "modify n.py ~anything")], {}, []),
    # ticket scope
    ("allowed", [APP], {"scope": {"allow": ["src/**"]}}, []),
    ("not allowed", [APP], {"scope": {"allow": ["docs/**", "*.md"]}}, ["ticket_scope"]),
    ("denied", [APP], {"scope": {"deny": ["src/"]}}, ["ticket_scope"]),
    ("allowed and denied", [APP], {"scope": {"allow": ["src"], "deny": ["app.py"]}}, ["ticket_scope"]),
    ("denied elsewhere", [APP], {"scope": {"deny": ["/app.py", "docs"]}}, []),
    (
        "an accepted item beyond the scope",
        [item("x", "modify README.md"), APP],
        {"accepted": ["x"], "scope": {"allow": ["src"]}},
        ["ticket_scope"],
    ),
    # tests
    ("a test in a file that exists", [item("a", "modify src/app.py", tests=("tests/test_app.py::test_run",))], {}, []),
    ("a test in a file the item creates", [item("a", "create tests/test_n.py", tests=("tests/test_n.py::t",))], {}, []),
    (
        "a test in a file an earlier item creates",
        [item("a", "create tests/n.py"), item("b", "modify README.md", tests=("tests/n.py::t",))],
        {},
        [],
    ),
    (
        "a test in a file a later item creates",
        [item("b", "modify README.md", tests=("tests/n.py::t",)), item("a", "create tests/n.py")],
        {},
        ["missing_test_file"],
    ),
    (
        "a test in no file",
        [item("a", "modify README.md", tests=("tests/test_nowhere.py::t",))],
        {},
        ["missing_test_file"],
    ),
    (
        "a bare path of no file",
        [item("a", "modify README.md", tests=("tests/test_nowhere.py",))],
        {},
        ["missing_test_file"],
    ),
    ("a bare folder", [item("a", "modify README.md", tests=("tests/", "tests"))], {}, []),
    ("a test in a folder", [item("a", "modify README.md", tests=("tests::t",))], {}, ["missing_test_file"]),
    (
        "a test in a file the item deletes",
        [item("a", "delete tests/test_app.py", tests=("tests/test_app.py::test_run",))],
        {},
        ["missing_test_file"],
    ),
    (
        "a later item deletes a named test's file",
        [item("a", "modify README.md", tests=("tests/test_app.py::test_run",)), item("b", "delete tests/test_app.py")],
        {},
        ["deletes_test"],
    ),
    (
        "an item deletes an accepted one's test",
        [item("a", "modify README.md", tests=("tests/test_app.py::test_run",)), item("b", "delete tests/test_app.py")],
        {"accepted": ["a"]},
        ["deletes_test"],
    ),
    ("a test outside the root", [item("a", "modify README.md", tests=("../t.py::t",))], {}, ["path"]),
    ("a test that looks like an option", [item("a", "modify README.md", tests=("-x",))], {}, ["path"]),
    ("a test without a name", [item("a", "modify README.md", tests=("tests/test_app.py::",))], {}, ["test_selector"]),
    (
        "a test with a parameter",
        [item("a", "modify README.md", tests=("tests/test_app.py::test_run[a::b/../c]",))],
        {},
        [],
    ),
]


@pytest.mark.parametrize(("items", "rules", "codes"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_manifest_is_rejected_for_this_reason_or_not_at_all(
    items: list[WorkItem], rules: dict[str, Any], codes: list[str]
) -> None:
    found = failure(*items, **rules)
    assert (found.code if found else None) == (codes[0] if codes else None), found
    if found:
        assert found.kind == "gate"
        assert found.location
        assert found.message.count("[") >= 1
        if "problems:" not in found.message:
            assert found.message.startswith(f"[{codes[0]}] ")


def test_all_problems_are_in_one_failure_and_the_first_gives_the_code() -> None:
    found = failure(
        item("a", "modify nowhere.py", "create ../x", tests=("t.py::t",)),
        item("a b", "modify src/app.py ~nowhere", needs=("c",)),
    )
    assert found is not None
    assert found.code == "unusable_id"
    for code in ("unusable_id", "unknown_dependency", "path", "missing_file", "missing_test_file", "missing_symbol"):
        assert f"[{code}]" in found.message
    assert found.message.startswith("6 problems:\n1. [unusable_id] a b: ")


def test_a_rejection_names_what_may_have_been_meant() -> None:
    assert "did you mean src/app.py?" in (failure(item("a", "modify lib/app.py")) or pytest.fail("accepted")).message
    assert "did you mean src/app.py?" in (failure(item("a", "modify SRC/app.py")) or pytest.fail("accepted")).message
    found = failure(item("a", "modify src/app.py ~start"))
    assert found is not None
    assert "did you mean App.start?" in found.message
    assert (found.location, found.actual) == ("a: src/app.py: start", "no such symbol")


def test_hundreds_of_problems_are_bounded() -> None:
    found = failure(item("a", *(f"modify nowhere{number}.py" for number in range(300))))
    assert found is not None
    assert found.message.endswith("… and 270 more")


def test_items_run_in_dependency_order_with_ties_in_manifest_order() -> None:
    work = manifest(
        item("late", "modify a", needs=("early", "accepted")), item("first", "modify a"), item("early", "modify a")
    )
    assert ordered(work) == ("first", "early", "late")


def test_a_cycle_has_no_order() -> None:
    with pytest.raises(ValueError, match="form a cycle: a, b"):
        ordered(manifest(item("a", "modify a", needs=("b",)), item("b", "modify a", needs=("a",))))


@given(st.data())
def test_an_order_has_every_item_once_and_after_its_dependencies(data: st.DataObject) -> None:
    names = data.draw(st.permutations("abcdef"))
    needs = {
        name: tuple(data.draw(st.sets(st.sampled_from(names[:place] or ["x"])))) for place, name in enumerate(names)
    }
    work: Manifest = manifest(*(item(name, "modify a", needs=needs[name]) for name in sorted(names)))
    order = ordered(work)
    assert sorted(order) == sorted(names)
    assert all(order.index(need) < order.index(name) for name in names for need in needs[name] if need in names)
