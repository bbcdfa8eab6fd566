import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.paths import normalise, normalise_folder, writable
from stages.tool import RefusedError


@pytest.mark.parametrize(
    ("path", "spelled"),
    [
        ("src/a.py", "src/a.py"),
        ("./src//a.py", "src/a.py"),
        ("src/./a.py", "src/a.py"),
        ("src/", "src"),
        (".github/workflows/ci.yml", ".github/workflows/ci.yml"),
        (".gitignore", ".gitignore"),
        (".gitattributes", ".gitattributes"),
        (".gitmodules", ".gitmodules"),
        ("family\u200d.md", "family\u200d.md"),
        ("git~1x/a", "git~1x/a"),
        ("a..b/...c", "a..b/...c"),
        ("ünï/日本.py", "ünï/日本.py"),
        ("-rf", "-rf"),
        ("with space.py", "with space.py"),
    ],
)
def test_a_path_has_one_spelling(path: str, spelled: str) -> None:
    assert normalise(path) == spelled


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "./",
        "/etc/passwd",
        "//server/share",
        "C:/x",
        "c:x",
        "..",
        "../x",
        "a/../b",
        "a/..",
        "a\\b",
        "..\\x",
        "a\0b",
        "a\nb",
        "a\x7fb",
        "a\x85b",
        "\ud800",
    ],
)
def test_what_is_no_plain_path_of_the_work_tree_is_refused(path: str) -> None:
    with pytest.raises(RefusedError) as refused:
        normalise(path)
    assert refused.value.code == "path"


@pytest.mark.parametrize(
    "path",
    [
        ".git",
        ".git/config",
        "a/.git/hooks/x",
        ".GIT/config",
        ".Git",
        ".git./config",
        ".git /config",
        ".git . ./x",
        ".git::$INDEX_ALLOCATION/config",
        ".git:stream",
        "git~2/x",
        "git~1/config",
        "GIT~1",
        "git~1. ",
        ".g\u200cit/config",
        ".git\ufeff",
        "\u202e.git",
        ".gi\u200dT/x",
        ".gitmodules/.git/x",
    ],
)
def test_the_git_folder_is_out_of_bounds_however_it_is_spelled(path: str) -> None:
    with pytest.raises(RefusedError) as refused:
        normalise(path)
    assert refused.value.code == "git_path"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (".gitmodules", "submodule"),
        ("a/.GIT", "git_path"),
        ("../a", "path"),
        ("a\u202eb", "path"),
        ("x" * 5000, "path"),
    ],
)
def test_a_path_that_could_never_leave_the_sandbox_is_not_writable(path: str, code: str) -> None:
    with pytest.raises(RefusedError) as refused:
        writable(path)
    assert refused.value.code == code


def test_the_root_is_a_folder_but_no_file() -> None:
    assert normalise_folder("") == normalise_folder(".") == normalise_folder("./") == "."
    assert normalise_folder("src/") == "src"


@given(st.text(alphabet="ab./\\:.git ~1\u200c\0", max_size=20))
def test_whatever_is_let_through_stays_inside_and_is_its_own_spelling(path: str) -> None:
    try:
        spelled = normalise(path)
    except RefusedError:
        return
    parts = spelled.split("/")
    assert not {"", ".", ".."} & set(parts)
    assert ".git" not in [part.casefold() for part in parts]
    assert normalise(spelled) == spelled
