"""Real containers removed underneath a run: rebuilt and gone on with, given up for one attempt, or the run's end."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import docker
import docker.errors
import pytest
from anyio import to_thread

from pipeline.config.settings import CheckSettings, SandboxSettings
from pipeline.events import AttemptEnded, CheckFinished, SandboxLost, SandboxStarted
from sandbox.base import BaseTree, Environment, ExecResult, Sandbox
from sandbox.docker import backend
from tests.e2e import project
from tests.loopback import Brain, Conversation, Say, by_turn
from tests.runner.scenario import Scenario, audited, settings

pytestmark = pytest.mark.docker
MIB = 1 << 20
MakeScenario = Callable[..., Scenario]
SMALL = SandboxSettings(image="stagewright/python", memory=1280 * MIB, disk=256 * MIB)
CHECK = CheckSettings(
    name="tests",
    run="python3 -m pytest -q --junitxml=$REPORT",
    focus="python3 -m pytest -q {tests} --junitxml=$REPORT",
    report="junit",
    timeout=60.0,
)
TEAM: dict[str, Brain] = {"planner": project.planner(), "coder": project.coder(), "strong": project.coder()}


Occasion = Callable[[str], bool]


def never(words: str) -> bool:
    return False


def at(word: str, times: int) -> Occasion:
    """Return the first occasions at which a call's words hold a word."""
    left = [None] * times
    return lambda words: word in words and bool(left) and left.pop() is None


def once_each(word: str) -> Occasion:
    """Return the first occasion of every different call that holds a word."""
    seen: set[str] = set()

    def occasion(words: str) -> bool:
        if word not in words or words in seen:
            return False
        seen.add(words)
        return True

    return occasion


def next_snapshot_after(word: str) -> Occasion:
    """Return the first snapshot that follows a call whose words hold a word."""
    said: list[str] = []

    def occasion(words: str) -> bool:
        if words != "snapshot" and word in words and len(said) == 0:
            said.append(words)
        elif words == "snapshot" and len(said) == 1:
            said.append(words)
            return True
        return False

    return occasion


class Saboteur:
    """Opens real containers and removes one underneath, during the calls that are its occasion."""

    def __init__(self, occasion: Occasion = never) -> None:
        self._docker = backend()
        self.occasion = occasion
        self.opened: list[str] = []

    @asynccontextmanager
    async def open(self, environment: Environment, base: BaseTree) -> AsyncIterator[Sandbox]:
        async with self._docker.open(environment, base) as sandbox:
            self.opened.append(sandbox.container_id)
            yield _Sabotaged(sandbox, sandbox.container_id, self)


class _Sabotaged:
    def __init__(self, sandbox: Sandbox, container_id: str, saboteur: Saboteur) -> None:
        self.container_id = container_id
        self._sandbox = sandbox
        self._saboteur = saboteur
        self.read = sandbox.read
        self.write = sandbox.write
        self.restore = sandbox.restore

    async def snapshot(self) -> Any:
        if self._saboteur.occasion("snapshot"):
            await to_thread.run_sync(remove, self.container_id)
        return await self._sandbox.snapshot()

    async def exec(self, argv: Any, **options: Any) -> ExecResult:
        if not self._saboteur.occasion(" ".join(argv)):
            return await self._sandbox.exec(argv, **options)
        remover = Thread(target=remove, args=(self.container_id,))
        remover.start()
        try:
            # In the middle of a command: this one does not end by itself.
            await self._sandbox.exec(["sleep", "600"], timeout=600)
        finally:
            remover.join()
        raise AssertionError("a removed container answered")


def remove(container_id: str) -> None:
    """Remove a container as another program of the machine would."""
    client = docker.from_env()
    try:
        with contextlib.suppress(docker.errors.NotFound):
            client.api.remove_container(container_id, force=True)
    finally:
        client.close()


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[MakeScenario]:
    made: list[Scenario] = []

    def make(saboteur: Saboteur, brains: dict[str, Brain] | None = None, **changes: Any) -> Scenario:
        chosen = settings(checks=(CHECK,), sandbox=SMALL, **changes)
        made.append(Scenario(tmp_path, TEAM | (brains or {}), chosen, backend=saboteur))
        return made[-1]

    yield make
    for each in made:
        audited(each)
        each.store.close()


def losses(run: Scenario) -> list[SandboxLost]:
    return [event for event in run.events if isinstance(event, SandboxLost)]


def coder_of(run: Scenario) -> AttemptEnded:
    return next(event for event in run.events if isinstance(event, AttemptEnded) and event.stage == "coder")


def test_a_container_removed_between_two_calls_is_rebuilt_with_everything_done_so_far(scenario: MakeScenario) -> None:
    heard: list[str] = []
    saboteur = Saboteur()

    def coder(conversation: Conversation) -> Say:
        heard.extend(result.content for result in conversation.tool_results)
        if conversation.turn == 1:
            remove(saboteur.opened[-1])
        return project.coder()(conversation)

    run = scenario(saboteur, {"coder": coder})
    ended = run.run()
    assert ended.status == "solved", ended.reason
    (loss,) = losses(run)
    assert loss.purpose == "coder apply-discount"
    assert coder_of(run).number == 1
    told = "\n".join(heard)
    assert "1 passed" in told, "the test written before the loss ran after it"
    assert "sandbox" not in told, "the model saw the loss"


def test_a_container_removed_during_a_command_runs_the_command_again_on_the_tree_before_it(
    scenario: MakeScenario,
) -> None:
    run = scenario(Saboteur(at("pytest -q tests/test_discount.py", 1)))
    ended = run.run()
    assert ended.status == "solved", ended.reason
    assert len(losses(run)) == 1
    assert run.outcomes == ["planner planner passed", "coder apply-discount coder passed"]


def _commands(*commands: str) -> Brain:
    working = project.coder()
    calls = [Say(calls=[("run", {"command": command, "timeout": None})]) for command in commands]

    def brain(conversation: Conversation) -> Say:
        if conversation.turn == 0:
            return working(conversation)
        return calls[conversation.turn - 1] if conversation.turn <= len(calls) else Say(calls=[("finish", DONE)])

    return brain


DONE = {"summary": "done"}


def test_a_loss_after_a_command_and_before_its_snapshot_makes_the_command_again(scenario: MakeScenario) -> None:
    append = "echo '# said' >> shop/price.py"
    run = scenario(Saboteur(next_snapshot_after("# said")), {"coder": _commands(append)})
    ended = run.run()
    assert ended.status == "solved", ended.reason
    assert len(losses(run)) == 1
    module = project.git(run.repository, "show", f"{ended.branch}:shop/price.py")
    assert module.count("# said") == 1


def test_the_mode_of_a_script_and_a_deleted_file_survive_a_loss(scenario: MakeScenario, tmp_path: Path) -> None:
    saboteur = Saboteur()
    files = [
        {"path": "shop/price.py", "operation": "modify", "symbols": []},
        {"path": "tests/test_discount.py", "operation": "create", "symbols": []},
        {"path": "tool.sh", "operation": "modify", "symbols": []},
        {"path": "old.txt", "operation": "delete", "symbols": []},
    ]
    plan = Say(calls=[("submit_manifest", project.manifest(items=[project.work_item() | {"files": files}]))])

    def coder(conversation: Conversation) -> Say:
        if conversation.turn == 0:
            first = project.coder()(conversation)
            script = {"path": "tool.sh", "content": "#!/bin/sh\necho two\n"}
            return Say(calls=[*first.calls, ("write_file", script), ("delete_file", {"path": "old.txt"})])
        if conversation.turn == 1:
            remove(saboteur.opened[-1])
            return Say(calls=[("run", {"command": "./tool.sh; ls", "timeout": None})])
        return Say(calls=[("finish", DONE)])

    run = scenario(saboteur, {"planner": by_turn(plan), "coder": coder})
    (run.repository / "tool.sh").write_text("#!/bin/sh\necho one\n")
    (run.repository / "tool.sh").chmod(0o755)
    (run.repository / "old.txt").write_text("old\n")
    project.git(run.repository, "add", "-A")
    project.git(run.repository, "commit", "-q", "-m", "a script")
    ended = run.run()
    assert ended.status == "solved", ended.reason
    assert len(losses(run)) == 1
    listing = project.git(run.repository, "ls-tree", "-r", ended.branch or "").splitlines()
    assert any(line.startswith("100755") and line.endswith("tool.sh") for line in listing)
    assert not any(line.endswith("old.txt") for line in listing)


def test_a_sandbox_lost_twice_at_the_same_tool_call_makes_the_attempt_unusable(scenario: MakeScenario) -> None:
    run = scenario(Saboteur(at("pytest -q tests/test_discount.py", 2)))
    ended = run.run()
    assert ended.status == "solved", ended.reason or "the next attempt had a sandbox that stayed"
    lost = coder_of(run)
    assert (lost.outcome, lost.failure and lost.failure.code) == ("unusable", "lost_twice")
    assert run.outcomes[-1] == "coder apply-discount strong passed"
    assert len(losses(run)) == 2


def test_a_sandbox_lost_once_at_each_of_two_calls_is_rebuilt_twice(scenario: MakeScenario) -> None:
    run = scenario(Saboteur(once_each("# lose me")), {"coder": _commands("true # lose me", "true # lose me too")})
    ended = run.run()
    assert ended.status == "solved", ended.reason
    assert len(losses(run)) == 2
    assert coder_of(run).outcome == "passed"


def test_a_check_whose_container_is_removed_runs_again_from_its_beginning(scenario: MakeScenario) -> None:
    run = scenario(Saboteur(at("pytest -q --junitxml", 1)))
    ended = run.run()
    assert ended.status == "solved", ended.reason
    baseline = next(event for event in run.events if isinstance(event, CheckFinished))
    assert (baseline.phase, baseline.outcome, baseline.passed) == ("baseline", "passed", 1)
    assert [loss.purpose for loss in losses(run)] == ["check tests (baseline)"]


def test_a_check_that_loses_its_sandbox_every_time_is_an_infrastructure_ending(scenario: MakeScenario) -> None:
    run = scenario(Saboteur(at("", 99)))
    ended = run.run()
    assert ended.status == "infrastructure"
    assert "check tests lost its sandbox twice" in ended.reason


def test_what_is_checked_is_not_the_container_that_was_worked_in(scenario: MakeScenario) -> None:
    cheats = _commands("mkdir -p __pycache__; echo > __pycache__/built; ls __pycache__")
    lint = CheckSettings(name="no leftovers", run="test ! -e __pycache__/built", timeout=30.0)
    run = scenario(Saboteur(), {"coder": cheats})
    (run.repository / ".gitignore").write_text("__pycache__/\n")
    project.git(run.repository, "add", "-A")
    project.git(run.repository, "commit", "-q", "-m", "ignore")
    run.settings = run.settings.model_copy(update={"checks": (CHECK, lint)})
    ended = run.run()
    assert ended.status == "solved", ended.reason or "a file git ignores never reaches the clean checkout"
    started = {event.container: event.purpose for event in run.events if isinstance(event, SandboxStarted)}
    assert len(started) == len([event for event in run.events if isinstance(event, SandboxStarted)])
    assert {purpose.split(" ")[0] for purpose in started.values()} == {"planner", "coder", "check"}


def test_a_command_that_uses_up_the_memory_is_named_so_to_the_model_and_the_attempt_goes_on(
    scenario: MakeScenario,
) -> None:
    heard: list[str] = []
    bomb = "python3 -c \"x = [bytes(1 << 20) + b'x' for _ in range(9999)]\"; echo survived: $?"

    def coder(conversation: Conversation) -> Say:
        heard.extend(result.content for result in conversation.tool_results)
        return _commands(bomb, "echo ordinary")(conversation)

    run = scenario(Saboteur(), {"coder": coder})
    ended = run.run()
    assert ended.status == "solved", ended.reason
    (said,) = [text for text in dict.fromkeys(heard) if "survived" in text]
    assert said.startswith("[out of memory: the sandbox's limit killed it or a process of it")
    assert "survived: 137" in said
    assert any(text.startswith("[exit code 0]\nordinary") for text in heard)
    assert losses(run) == []


def test_the_sabotage_itself_finds_real_containers(scenario: MakeScenario) -> None:
    """The negative control: without sabotage nothing is lost, and each purpose has one container."""
    run = scenario(Saboteur())
    ended = run.run()
    assert ended.status == "solved", ended.reason
    assert losses(run) == []
    started = [event.purpose for event in run.events if isinstance(event, SandboxStarted)]
    assert started == ["check tests (baseline)", "planner", "coder apply-discount", "check tests (final)"]
