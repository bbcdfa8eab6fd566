"""What every sandbox backend has to do. A subclass says how to open one."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import pytest

from sandbox.base import BaseTree, FileState, Sandbox, SandboxPathError, Snapshot, UnacceptableChangeError
from tests.sandbox.trees import FILES, base_tree, git, make_base, make_repository

Opener = Callable[[BaseTree], AbstractAsyncContextManager[Sandbox]]
SECONDS = 30.0


async def shell(sandbox: Sandbox, script: str) -> bytes:
    """Run a script that has to succeed."""
    result = await sandbox.exec(["sh", "-c", script], timeout=SECONDS)
    assert result.exit_code == 0, result
    return result.stdout


@pytest.mark.anyio
class SandboxConformance:
    """Commands, files and work trees."""

    @pytest.fixture
    def opener(self) -> Opener:
        raise NotImplementedError

    @pytest.fixture
    def base(self, tmp_path: Path) -> BaseTree:
        return make_base(tmp_path / "repository")

    # -- commands --

    async def test_a_command_reports_its_exit_code_and_keeps_its_streams_apart(
        self, opener: Opener, base: BaseTree
    ) -> None:
        async with opener(base) as sandbox:
            result = await sandbox.exec(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=SECONDS)
        assert (result.exit_code, result.stdout, result.stderr) == (3, b"out\n", b"err\n")
        assert (result.timed_out, result.oom) == (False, False)

    async def test_merged_output_keeps_the_order_of_writing(self, opener: Opener, base: BaseTree) -> None:
        async with opener(base) as sandbox:
            result = await sandbox.exec(["sh", "-c", "echo 1; echo 2 >&2; echo 3"], timeout=SECONDS, merge_output=True)
        assert (result.stdout, result.stderr) == (b"1\n2\n3\n", b"")

    async def test_input_and_environment_reach_a_command_byte_for_byte(self, opener: Opener, base: BaseTree) -> None:
        payload = bytes(range(256)) * 400
        async with opener(base) as sandbox:
            result = await sandbox.exec(
                ["sh", "-c", 'cat; printf %s "$WORD" >&2'], timeout=SECONDS, stdin=payload, env={"WORD": "a b\u00e9"}
            )
        assert (result.stdout, result.stderr) == (payload, "a b\u00e9".encode())

    async def test_a_command_that_is_not_there_is_an_exit_code_like_in_a_shell(
        self, opener: Opener, base: BaseTree
    ) -> None:
        async with opener(base) as sandbox:
            result = await sandbox.exec(["no-such-command"], timeout=SECONDS)
        assert result.exit_code == 127
        assert b"no-such-command" in result.stderr

    async def test_a_command_runs_in_the_root_of_the_work_tree(self, opener: Opener, base: BaseTree) -> None:
        async with opener(base) as sandbox:
            assert await shell(sandbox, "cat app.py") == FILES["app.py"]

    async def test_a_command_past_its_time_is_killed_with_what_it_had_said(
        self, opener: Opener, base: BaseTree
    ) -> None:
        async with opener(base) as sandbox:
            result = await sandbox.exec(["sh", "-c", "echo early; sleep 60"], timeout=0.5)
        assert (result.exit_code, result.timed_out, result.stdout) == (None, True, b"early\n")
        assert result.seconds < 5

    async def test_long_output_keeps_its_head_and_tail_and_its_true_length(
        self, opener: Opener, base: BaseTree
    ) -> None:
        async with opener(base) as sandbox:
            result = await sandbox.exec(["seq", "100000", "199999"], timeout=SECONDS, keep_bytes=70)
        assert result.stdout == b"".join(b"%d\n" % n for n in (*range(100000, 100005), *range(199995, 200000)))
        assert result.stdout_bytes == 700_000

    async def test_cancelling_a_command_leaves_the_sandbox_usable(self, opener: Opener, base: BaseTree) -> None:
        async with opener(base) as sandbox:
            with anyio.move_on_after(0.3) as limit:
                await sandbox.exec(["sh", "-c", "touch begun; sleep 60"], timeout=90)
            assert limit.cancelled_caught
            assert await shell(sandbox, "ls begun") == b"begun\n"

    async def test_commands_run_at_the_same_time(self, opener: Opener, base: BaseTree) -> None:
        answers: dict[int, bytes] = {}

        async def ask(sandbox: Sandbox, number: int) -> None:
            answers[number] = await shell(sandbox, f"echo {number}")

        async with opener(base) as sandbox, anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(ask, sandbox, number)
        assert answers == {number: b"%d\n" % number for number in range(12)}

    async def test_an_error_of_the_caller_comes_out_as_it_is(self, opener: Opener, base: BaseTree) -> None:
        with pytest.raises(KeyError, match="mine"):
            async with opener(base):
                raise KeyError("mine")

    # -- files --

    async def test_files_are_read_and_written_byte_for_byte(self, opener: Opener, base: BaseTree) -> None:
        content = bytes(range(256)) * 1000
        async with opener(base) as sandbox:
            await sandbox.write("new/folder/file.bin", content)
            assert await sandbox.read("new/folder/file.bin", limit=len(content)) == content
            assert await sandbox.read("data/raw.bin", limit=100) == FILES["data/raw.bin"]

    async def test_writing_keeps_the_mode_of_an_executable_file(self, opener: Opener, base: BaseTree) -> None:
        async with opener(base) as sandbox:
            await sandbox.write("run.sh", b"#!/bin/sh\necho again\n")
            assert await shell(sandbox, "./run.sh") == b"again\n"

    async def test_writing_through_a_symlink_that_stays_inside_changes_its_target(
        self, opener: Opener, base: BaseTree
    ) -> None:
        async with opener(base) as sandbox:
            await sandbox.write("link", b"changed\n")
            snapshot = await sandbox.snapshot()
        assert snapshot.files == {"app.py": FileState("100644", b"changed\n")}

    async def test_a_path_that_leaves_the_root_is_refused(self, opener: Opener, base: BaseTree) -> None:
        async with opener(base) as sandbox:
            await shell(sandbox, "ln -s / rootlink; ln -s /etc/passwd filelink")
            for path in ("/etc/passwd", "../x", "data/../../x", "rootlink/etc/passwd", "filelink", ""):
                with pytest.raises(SandboxPathError):
                    await sandbox.read(path, limit=1000)
                with pytest.raises(SandboxPathError):
                    await sandbox.write(path, b"x")

    async def test_what_is_missing_too_large_or_no_file_is_refused(self, opener: Opener, base: BaseTree) -> None:
        async with opener(base) as sandbox:
            await shell(sandbox, "mkfifo pipe")
            for path in ("nowhere", "data", "pipe", "app.py/below"):
                with pytest.raises(SandboxPathError):
                    await sandbox.read(path, limit=1000)
            with pytest.raises(SandboxPathError):
                await sandbox.read("app.py", limit=len(FILES["app.py"]) - 1)
            for path in ("data", "app.py/below"):
                with pytest.raises(SandboxPathError):
                    await sandbox.write(path, b"x")

    # -- work trees --

    async def test_an_untouched_tree_has_an_empty_snapshot(self, opener: Opener, base: BaseTree) -> None:
        async with opener(base) as sandbox:
            assert (await sandbox.snapshot()).files == {}
            assert await shell(sandbox, "git status --porcelain; git rev-parse HEAD") == f"{base.commit}\n".encode()

    async def test_no_history_and_no_other_reference_goes_in(self, opener: Opener, base: BaseTree) -> None:
        async with opener(base) as sandbox:
            assert (await shell(sandbox, "git rev-list --all HEAD")).split() == [base.commit.encode()]
            assert await shell(sandbox, "git for-each-ref; git remote; git stash list") == b""

    async def test_a_snapshot_holds_every_kind_of_change_in_byte_order(self, opener: Opener, base: BaseTree) -> None:
        script = """
        printf 'x\\r\\n' > app.py; rm data/raw.bin; mv deep/er/still.txt moved.txt; chmod +x data/windows.bat
        rm link; ln -s data/windows.bat link; printf '\\0\\377' > new.bin; mkdir -p a/b; echo e > 'a/b/\u00fc x.txt'
        """
        async with opener(base) as sandbox:
            await shell(sandbox, script)
            snapshot = await sandbox.snapshot()
        assert dict(snapshot.files) == {
            "a/b/\u00fc x.txt": FileState("100644", b"e\n"),
            "app.py": FileState("100644", b"x\r\n"),
            "data/raw.bin": None,
            "data/windows.bat": FileState("100755", FILES["data/windows.bat"]),
            "deep/er/still.txt": None,
            "link": FileState("120000", b"data/windows.bat"),
            "moved.txt": FileState("100644", b"deep\n"),
            "new.bin": FileState("100644", b"\0\xff"),
        }
        assert list(snapshot.files) == sorted(snapshot.files, key=str.encode)

    async def test_ignored_files_never_count(self, opener: Opener, base: BaseTree) -> None:
        async with opener(base) as sandbox:
            await shell(sandbox, "mkdir build; echo x > build/out; echo y > a.log")
            assert (await sandbox.snapshot()).files == {}

    async def test_a_file_in_the_place_of_a_folder_and_the_reverse_are_changes(
        self, opener: Opener, base: BaseTree
    ) -> None:
        async with opener(base) as sandbox:
            await shell(sandbox, "rm -r deep app.py; echo f > deep; mkdir app.py; echo g > app.py/inner")
            snapshot = await sandbox.snapshot()
            await sandbox.restore(Snapshot())
            assert (await sandbox.snapshot()).files == {}
            await sandbox.restore(snapshot)
            assert await sandbox.snapshot() == snapshot
        assert dict(snapshot.files) == {
            "app.py": None,
            "app.py/inner": FileState("100644", b"g\n"),
            "deep": FileState("100644", b"f\n"),
            "deep/er/still.txt": None,
        }

    async def test_a_link_in_the_place_of_a_folder_hides_the_files_of_the_folder(
        self, opener: Opener, base: BaseTree
    ) -> None:
        async with opener(base) as sandbox:
            await shell(sandbox, "mkdir data/er; echo other > data/er/still.txt; rm -r deep; ln -s data deep")
            snapshot = await sandbox.snapshot()
            assert dict(snapshot.files) == {
                "data/er/still.txt": FileState("100644", b"other\n"),
                "deep": FileState("120000", b"data"),
                "deep/er/still.txt": None,
            }
            await sandbox.restore(Snapshot())
            await sandbox.restore(snapshot)
            assert await sandbox.snapshot() == snapshot

    async def test_restore_reproduces_a_snapshot_in_another_sandbox(self, opener: Opener, base: BaseTree) -> None:
        async with opener(base) as first:
            await shell(first, "echo 2 > app.py; rm run.sh; mkdir n; printf '\\0' > n/b; ln -s ../app.py n/l")
            snapshot = await first.snapshot()
        async with opener(base) as second:
            await second.restore(snapshot)
            assert await second.snapshot() == snapshot

    async def test_restore_undoes_everything_else_but_what_git_ignores(self, opener: Opener, base: BaseTree) -> None:
        script = """
        rm -rf .git deep; echo junk > junk; mkdir -p d/e; echo j > d/e/f; echo l > kept.log; echo x >> app.py
        mkdir empty; git init -q nested; touch nested/file; mkdir locked; touch locked/x; chmod 000 locked
        """
        async with opener(base) as sandbox:
            await shell(sandbox, script)
            await sandbox.restore(Snapshot({"app.py": FileState("100755", b"mine\n")}))
            assert (await sandbox.snapshot()).files == {"app.py": FileState("100755", b"mine\n")}
            listing = (await shell(sandbox, "find . -path ./.git -prune -o -print | sort")).decode().split("\n")
        assert "./kept.log" in listing
        assert not {"./junk", "./d", "./empty", "./nested", "./locked"} & set(listing)

    async def test_commits_made_inside_change_nothing_about_the_snapshot(self, opener: Opener, base: BaseTree) -> None:
        script = "echo c > app.py; git -c user.name=a -c user.email=b commit -qam x; git checkout -q --orphan other"
        async with opener(base) as sandbox:
            await shell(sandbox, script)
            assert (await sandbox.snapshot()).files == {"app.py": FileState("100644", b"c\n")}

    @pytest.mark.parametrize(
        "script",
        [
            "git update-index --assume-unchanged app.py; git update-index --skip-worktree run.sh",
            "echo app.py >> .git/info/exclude; echo '*' >> .git/info/exclude; git rm -q --cached app.py",
            "git config core.fileMode false; git config core.excludesFile /dev/null; git config filter.x.clean cat",
            "echo '* filter=x' > .git/info/attributes; git config filter.x.clean 'sed s/./z/'",
            "rm -rf .git; git init -q .; git add -A",
            "rm -rf .git; echo 'gitdir: /nonexistent' > .git",
            "git replace -f HEAD:app.py $(echo other | git hash-object -w --stdin)",
            "export F=$(git rev-parse HEAD:app.py); rm -rf .git/objects; mkdir .git/objects",
        ],
    )
    async def test_no_trick_with_the_inner_repository_hides_a_change(
        self, opener: Opener, base: BaseTree, script: str
    ) -> None:
        async with opener(base) as sandbox:
            await shell(sandbox, f"{script}\necho seen > app.py; echo more > added.txt")
            snapshot = await sandbox.snapshot()
        assert dict(snapshot.files) == {
            "added.txt": FileState("100644", b"more\n"),
            "app.py": FileState("100644", b"seen\n"),
        }

    @pytest.mark.parametrize(
        ("code", "script"),
        [
            (
                "submodule",
                "git init -q inner; cd inner; git -c user.name=a -c user.email=b commit -q --allow-empty -m x",
            ),
            ("submodule", "printf '[submodule \"x\"]\\n' > .gitmodules"),
            ("submodule", "ln -s app.py .GITMODULES"),
            ("git_path", "mkdir -p .GIT; echo x > .GIT/config"),
            ("git_path", "mkdir -p sub/.Git; echo x > sub/.Git/config"),
            ("git_path", "mkdir git~1; echo x > git~1/config"),
            ("git_path", "mkdir '.git.'; echo x > '.git./config'"),
            ("git_path", "mkdir '.git::$INDEX_ALLOCATION'; echo x > '.git::$INDEX_ALLOCATION/config'"),
            ("git_path", "mkdir '.g\u200cit'; echo x > '.g\u200cit/config'"),
            ("git_path", "ln -s .git/config seen"),
            ("symlink", "ln -s /etc/passwd out"),
            ("symlink", "ln -s ../outside out"),
            ("symlink", "mkdir d; ln -s ../../outside d/out"),
            ("symlink", "ln -s deep/../../outside out"),
            ("path", "touch \"$(printf 'a\\nb')\""),
            ("path", "touch \"$(printf 'a\\033b')\""),
            ("path", "touch 'a\u202eb'"),
            ("path", "touch \"$(printf 'a\\377b')\""),
            ("path", "touch 'a\\b'"),
            ("same_name", "echo x > APP.py"),
            ("same_name", "mkdir Deep; echo x > Deep/new"),
            ("same_name", "echo x > 'unicode e\u0301\u4e16.txt'"),
            ("too_many_files", "mkdir many; cd many; seq 2001 | xargs touch"),
            ("file_too_large", "truncate -s 10485761 big"),
            ("too_large", "for n in 1 2 3 4 5 6; do truncate -s 9M big$n; done"),
        ],
    )
    async def test_what_may_never_leave_is_refused_by_its_code(
        self, opener: Opener, base: BaseTree, code: str, script: str
    ) -> None:
        async with opener(base) as sandbox:
            await shell(sandbox, script)
            with pytest.raises(UnacceptableChangeError) as refused:
                await sandbox.snapshot()
            assert refused.value.code == code
            await sandbox.restore(Snapshot())
            assert (await sandbox.snapshot()).files == {}

    async def test_what_the_base_holds_already_is_no_change_of_anybodys(self, opener: Opener, tmp_path: Path) -> None:
        folder = make_repository(tmp_path / "odd")
        for name, target in {"absolute": "/etc/passwd", "leaving": "../../outside", "into-git": ".git/config"}.items():
            (folder / name).symlink_to(target)
        (folder / "a\\b").write_bytes(b"backslash\n")
        (folder / "large.bin").write_bytes(bytes(11 << 20))
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", "odd")
        async with opener(base_tree(folder)) as sandbox:
            assert (await sandbox.snapshot()).files == {}
            await shell(sandbox, "echo changed > app.py; ln -sfn /etc/passwd absolute; touch -h leaving")
            changed = await sandbox.snapshot()
            assert changed.files == {"app.py": FileState("100644", b"changed\n")}
            await sandbox.restore(changed)
            assert await sandbox.snapshot() == changed
            await shell(sandbox, "rm absolute into-git")
            assert (await sandbox.snapshot()).files == {**changed.files, "absolute": None, "into-git": None}
            await shell(sandbox, "ln -s /etc/shadow absolute")
            with pytest.raises(UnacceptableChangeError, match="absolute"):
                await sandbox.snapshot()

    async def test_a_submodule_of_the_base_is_left_alone(self, opener: Opener, tmp_path: Path) -> None:
        folder = make_repository(tmp_path / "with-submodule")
        base = add_submodule(folder)
        async with opener(base) as sandbox:
            assert (await sandbox.snapshot()).files == {}
            await shell(sandbox, "rmdir module; echo x > module")
            with pytest.raises(UnacceptableChangeError, match="submodules cannot be changed"):
                await sandbox.snapshot()


def add_submodule(folder: Path) -> BaseTree:
    """Commit a gitlink without its repository, as a clone without --recursive sees it."""
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    git(folder, "commit", "-q", "-m", "module")
    return base_tree(folder)
