"""A change stays within its item, whatever made it."""

import pytest

from pipeline.judging.gates import change_failure
from sandbox.base import FileState, Snapshot
from tests.gates.views import FILES, View, item

APP = FILES["src/app.py"].decode()
BEFORE = View(FILES)
Row = tuple[str, tuple[str, ...], dict[str, bytes | None], str | None]
ROWS: list[Row] = [
    ("nothing changed", ("modify src/app.py",), {}, None),
    ("a listed file changed", ("modify src/app.py",), {"src/app.py": FILES["src/app.py"] + b"# more\n"}, None),
    ("a listed file was created", ("create n.py",), {"n.py": b"x = 1\n"}, None),
    ("a listed file was not created", ("create n.py", "modify README.md"), {"README.md": b""}, None),
    ("a listed file was deleted", ("delete src/old.py",), {"src/old.py": None}, None),
    ("another file changed", ("modify src/app.py",), {"README.md": b"changed\n"}, "out_of_scope"),
    ("another file was created", ("modify src/app.py",), {"src/new.py": b""}, "out_of_scope"),
    ("another file was deleted", ("modify src/app.py",), {"README.md": None}, "out_of_scope"),
    (
        "a test that is not listed changed",
        ("modify src/app.py",),
        {"tests/test_app.py": b"def test_run(): ...\n"},
        "out_of_scope",
    ),
    ("a test configuration that is not listed was made", ("modify src/app.py",), {"conftest.py": b""}, "out_of_scope"),
    ("a file listed to be modified was deleted", ("modify src/app.py",), {"src/app.py": None}, "operation"),
    ("a file listed to be deleted was changed", ("delete src/old.py",), {"src/old.py": b"x"}, "operation"),
    (
        "a function disappeared",
        ("modify src/app.py",),
        {"src/app.py": APP.replace("run", "go").encode()},
        "symbol_removed",
    ),
    (
        "a method disappeared",
        ("modify src/app.py",),
        {"src/app.py": APP.replace("start", "go").encode()},
        "symbol_removed",
    ),
    (
        "a constant disappeared",
        ("modify src/app.py",),
        {"src/app.py": APP.replace("LIMIT", "BOUND").encode()},
        "symbol_removed",
    ),
    ("everything disappeared", ("modify src/app.py",), {"src/app.py": b""}, "symbol_removed"),
    (
        "a listed symbol was removed",
        ("modify src/app.py -run",),
        {"src/app.py": APP.replace("run", "go").encode()},
        None,
    ),
    (
        "a listed class went with its methods",
        ("modify src/app.py -App",),
        {"src/app.py": APP.split("class")[0].encode()},
        None,
    ),
    (
        "a symbol listed to be modified disappeared",
        ("modify src/app.py ~run",),
        {"src/app.py": APP.replace("run", "go").encode()},
        "symbol_removed",
    ),
    (
        "a function moved and is imported",
        ("modify src/app.py", "create src/n.py"),
        {"src/app.py": b"from src.n import run\n" + APP.replace("run", "_").encode(), "src/n.py": b"def run(): ...\n"},
        None,
    ),
    (
        "a file that parses no more keeps its symbols",
        ("modify src/app.py",),
        {"src/app.py": APP.encode() + b"def new(:\n"},
        None,
    ),
    (
        "a file that parses no more loses one",
        ("modify src/app.py",),
        {"src/app.py": APP.replace("run", "go").encode() + b"def new(:\n"},
        "symbol_removed",
    ),
    ("a file of another language", ("modify web/app.js",), {"web/app.js": b""}, None),
    ("a file that never parsed", ("modify src/broken.py",), {"src/broken.py": b""}, None),
]


@pytest.mark.parametrize(("files", "changes", "code"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_change_is_rejected_for_this_reason_or_not_at_all(
    files: tuple[str, ...], changes: dict[str, bytes | None], code: str | None
) -> None:
    found = change_failure(BEFORE, BEFORE.changed(changes), item("a", *files))
    assert (found.code if found else None) == code, found


def test_what_accepted_items_changed_is_not_charged_to_this_one() -> None:
    before = BEFORE.changed({"README.md": b"accepted\n", "src/old.py": None})
    assert (
        change_failure(before, before.changed({"src/app.py": APP.encode() + b"#\n"}), item("b", "modify src/app.py"))
        is None
    )


def test_undoing_an_accepted_items_change_is_out_of_scope() -> None:
    before = BEFORE.changed({"README.md": b"accepted\n"})
    found = change_failure(before, BEFORE, item("b", "modify src/app.py"))
    assert found is not None
    assert (found.code, found.location) == ("out_of_scope", "README.md")


def test_putting_a_listed_file_back_as_the_base_has_it_is_within_the_item() -> None:
    before = BEFORE.changed({"src/old.py": b"accepted\n"})
    assert change_failure(before, BEFORE, item("b", "delete src/old.py")) is None


def test_a_mode_alone_is_a_change() -> None:
    after = View(FILES, Snapshot({"README.md": FileState("100755", FILES["README.md"])}))
    assert change_failure(BEFORE, after, item("a", "modify src/app.py")) is not None


def test_a_class_that_vanished_is_named_without_its_methods() -> None:
    after = BEFORE.changed({"src/app.py": APP.split("class")[0].encode(), "README.md": b"x"})
    found = change_failure(BEFORE, after, item("a", "modify src/app.py"))
    assert found is not None
    assert "src/app.py: App:" in found.message
    assert "App.start" not in found.message
    assert found.message.startswith("2 problems:")


def test_content_does_not_take_the_place_of_an_lfs_pointer() -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n"
    before = View({"big.bin": pointer})
    one = item("a", "modify big.bin")
    found = change_failure(before, before.changed({"big.bin": b"new"}), one)
    assert found is not None
    assert found.code == "lfs_pointer"
    assert change_failure(before, before.changed({"big.bin": pointer.replace(b":1", b":2")}), one) is None
    assert change_failure(before, before.changed({"big.bin": None}), item("a", "delete big.bin")) is None
