"""A whole run in a repository with every oddity at once: each stage reads it, and a branch comes out."""

from pathlib import Path

from tests.e2e import project
from tests.git.odd_repositories import LONG, POINTER
from tests.git.repositories import git
from tests.loopback import Conversation, Say
from tests.runner.scenario import REVIEWER, Scenario, audited, settings

NAMES = (b"caf\xe9.txt", b" lead", b"-rf", b"a\\b", b"new\nline", b"*", LONG.encode(), b"README.MD", b"readme.md")
LINKS = {"absolute": b"/etc/hostname", "up": b"../../outside", "loop": b"loop"}


def make_odd(repository: Path) -> None:
    odd = git(repository, "hash-object", "-w", "--stdin", stdin=b"odd\n")
    pointer = git(repository, "hash-object", "-w", "--stdin", stdin=POINTER)
    lines = [f"100644 {odd}\t".encode() + name for name in NAMES]
    lines += [f"100644 {pointer}\tbig.bin".encode(), f"160000 {'1' * 40}\tlib".encode()]
    for name, target in LINKS.items():
        lines.append(f"120000 {git(repository, 'hash-object', '-w', '--stdin', stdin=target)}\t{name}".encode())
    git(repository, "update-index", "-z", "--index-info", stdin=b"\0".join(lines) + b"\0")
    git(repository, "commit", "-q", "-m", "odd")


def test_it_is_solved_and_everything_odd_is_as_it_was(tmp_path: Path) -> None:
    heard: list[str] = []
    looks = Say(
        calls=[
            ("list_files", {"path": "."}),
            ("search", {"pattern": "odd", "path": None, "glob": None}),
            ("read_file", {"path": "absolute", "start_line": None, "end_line": None}),
            ("read_file", {"path": "big.bin", "start_line": None, "end_line": None}),
        ]
    )

    def planner(conversation: Conversation) -> Say:
        heard.extend([*conversation.texts, *(result.content for result in conversation.tool_results)])
        return looks if conversation.turn == 0 else Say(calls=[("submit_manifest", project.manifest())])

    brains = {"planner": planner, "coder": project.coder(), "reviewer": project.reviewer()}
    run = Scenario(tmp_path, brains, settings(reviewer=REVIEWER))
    make_odd(run.repository)
    ended = run.run()
    assert ended.status == "solved", ended.reason
    changed = git(run.repository, "diff", "--name-only", "--ignore-submodules=none", "HEAD", ended.branch or "").split()
    assert changed == ["shop/price.py", "tests/test_discount.py"]
    assert git(run.repository, "fsck", "--no-dangling", "--connectivity-only", ended.branch or "") == ""
    assert any("new\\nline" in text for text in heard), "the map spells an odd name out"
    for text in heard:
        text.encode()
    audited(run)
    run.store.close()
