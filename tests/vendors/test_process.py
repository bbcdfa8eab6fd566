"""A program is started in a session of its own, and nothing it started outlives the call."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from pipeline.vendors import _process
from pipeline.vendors._process import Command, FloodError, Listener, NotRunnableError, run

# A stand-in for a program with a child. Both hold a FIFO open for as long as they live, whatever signal asks them to
# end, and the child holds the pipes of its parent as well.
STUBBORN = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
alive = open(sys.argv[1], "w")
if os.fork() == 0:
    alive.write("child\\n"); alive.flush()
    print("ready", flush=True)
    signal.pause()
alive.write("parent\\n"); alive.flush()
if sys.argv[2] == "stay":
    signal.pause()
"""


def command(folder: Path, source: str, *arguments: str, stdin: bytes = b"") -> Command:
    script = folder / "program.py"
    script.write_text(source, encoding="utf-8")
    environ = {"PATH": os.environ["PATH"], "ONLY": "this"}
    return Command((sys.executable, "-S", str(script), *arguments), environ, folder, stdin)


def deaf(_line: str) -> bool:
    return False


async def all_gone(folder: Path, use: Callable[[Command], object], how: str) -> set[str]:
    """Run the stubborn program by `use`; return who was alive, once everybody has let go of the FIFO."""
    fifo = folder / "alive"
    os.mkfifo(fifo)
    seen: list[str] = []

    async def watch() -> None:
        seen.extend((await to_thread.run_sync(fifo.read_text)).split())

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await use(command(folder, STUBBORN, str(fifo), how))  # type: ignore[misc]
    return set(seen)


async def test_lines_of_both_streams_arrive_and_the_exit_code_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    complained: list[str] = []
    source = (
        "import sys, os\nprint(sys.stdin.read().upper())\nprint('é', end='')\n"
        "print(dict(os.environ), file=sys.stderr)\nsys.exit(3)"
    )

    def hear(lines: list[str]) -> Callable[[str], bool]:
        def heard(line: str) -> bool:
            lines.append(line)
            return False

        return heard

    listener = Listener(hear(said), hear(complained))
    code = await run(command(tmp_path, source, stdin=b"x" * 200_000), listener, seconds=20)
    assert (code, said) == (3, ["X" * 200_000, "é"])
    assert "'ONLY': 'this'" in complained[0]
    assert "HOME" not in complained[0]


async def test_a_listener_that_has_heard_enough_ends_the_whole_group(tmp_path: Path) -> None:
    async def use(program: Command) -> None:
        assert await run(program, Listener(lambda line: line == "ready", deaf), seconds=20) is None

    assert await all_gone(tmp_path, use, "stay") == {"child", "parent"}


async def test_a_child_that_holds_the_pipes_dies_with_its_parent(tmp_path: Path) -> None:
    async def use(program: Command) -> None:
        assert await run(program, Listener(deaf, deaf), seconds=20) == 0

    assert "parent" in await all_gone(tmp_path, use, "leave")


async def test_cancelling_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_process, "POLITE_SECONDS", 0.05)

    async def use(program: Command) -> None:
        with anyio.CancelScope() as scope:

            def ready(_line: str) -> bool:
                scope.cancel()
                return False

            await run(program, Listener(ready, deaf), seconds=20)
        assert scope.cancelled_caught

    assert await all_gone(tmp_path, use, "stay") == {"child", "parent"}


async def test_a_time_limit_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_process, "POLITE_SECONDS", 0.05)

    async def use(program: Command) -> None:
        with pytest.raises(TimeoutError):
            await run(program, Listener(deaf, deaf), seconds=0.5)

    assert "parent" in await all_gone(tmp_path, use, "stay")


async def test_a_program_that_reads_nothing_and_one_that_floods_are_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await run(command(tmp_path, "", stdin=b"x" * 500_000), Listener(deaf, deaf), seconds=20) == 0
    monkeypatch.setattr(_process, "MOST_OUTPUT", 100_000)
    with pytest.raises(FloodError):
        await run(command(tmp_path, "while True: print('y' * 1000)"), Listener(deaf, deaf), seconds=20)


async def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotRunnableError, match="no-such-program cannot be run"):
        await run(Command(("no-such-program",), {}, tmp_path), Listener(deaf, deaf), seconds=5)
