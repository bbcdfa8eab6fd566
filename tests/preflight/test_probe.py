"""`check --probe` asks each configured model once, and says what came back; without it nobody is asked."""

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from pipeline import loader
from pipeline.cli import main
from pipeline.config.load import Loaded
from pipeline.errors import InfrastructureError
from pipeline.preflight import probe_report
from pipeline.preflight.probe import (
    PROBE_OUTPUT_TOKENS,
    Answered,
    Connect,
    Finding,
    Prober,
    Silent,
    at_most,
    probe,
    targets,
)
from pipeline.surface import Binding
from stages.model import Model, Usage
from tests.config.files import SOUND, changed, loaded
from tests.git.repositories import make_repository
from tests.loopback import (
    ANTHROPIC_KEY,
    CHAT_KEY,
    GOOGLE_KEY,
    Brain,
    Conversation,
    LoopbackServer,
    Say,
    Traits,
    always,
    anthropic_server,
    by_model,
    chat_server,
    google_server,
)
from tests.preflight.test_programs import log_in

KEYS = {"anthropic": ANTHROPIC_KEY, "google": GOOGLE_KEY}
OK = always(Say("ok", usage=Usage(20, 0, 0, 5)))
MODELS = ["anthropic/claude-opus-5-5", "anthropic/claude-sonnet-5-5", "google/gemini-3.8-flash"]


@dataclass
class Vendors:
    """Two loopback servers and the configuration that leads to them."""

    anthropic: LoopbackServer
    google: LoopbackServer

    @property
    def text(self) -> str:
        addresses = f"  anthropic: {{base_url: '{self.anthropic.url}'}}\n  google: {{base_url: '{self.google.url}'}}\n"
        return f"vendors:\n{addresses}{SOUND}"

    @property
    def asked(self) -> list[str]:
        return [*self.anthropic.models, *self.google.models]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


def vendors(
    stack: ExitStack, *, anthropic: Brain = OK, google: Brain = OK, ending: Mapping[str, str | None] | None = None
) -> Vendors:
    first = stack.enter_context(anthropic_server(anthropic, ending=ending))
    return Vendors(first, stack.enter_context(google_server(google)))


def probed(found: Loaded, keys: Mapping[str, str] = KEYS, *, connect: Connect = loader.connect) -> tuple[Finding, ...]:
    settings = found.settings
    assert settings is not None, found.problems

    async def ask() -> tuple[Finding, ...]:
        return await probe(Prober(settings, keys, connect, anyio.current_time), targets(settings))

    return anyio.run(ask)


def problems(found: Loaded, answers: tuple[Finding, ...]) -> list[str]:
    assert found.settings is not None
    return [each.line_text() for each in probe_report.problems(answers, found.settings, found.positions)]


def test_each_distinct_model_is_asked_once_whatever_stages_and_rungs_share_it(tmp_path: Path, stack: ExitStack) -> None:
    served = vendors(stack)
    ladder = "retry_budget: 3\n    escalation: [{model: claude-opus-5-5}, {effort: max}]"
    found = loaded(tmp_path, changed(served.text, ("retry_budget: 3", ladder)))
    answers = probed(found)
    assert [each.target.name for each in answers] == MODELS
    assert sorted(served.asked) == sorted(name.partition("/")[2] for name in MODELS)
    assert all(isinstance(each, Answered) for each in answers)


def test_a_model_that_only_a_later_rung_names_is_asked_too_with_its_knobs(tmp_path: Path, stack: ExitStack) -> None:
    served = vendors(stack)
    ladder = "retry_budget: 3\n    escalation: {model: claude-fable-5-2, effort: xhigh}"
    probed(loaded(tmp_path, changed(served.text, ("retry_budget: 3", ladder))))
    (body,) = [each.json for each in served.anthropic.log if each.method == "POST" and "fable" in each.json["model"]]
    assert body["output_config"] == {"effort": "xhigh"}
    assert body["max_tokens"] == PROBE_OUTPUT_TOKENS


def test_a_fallback_is_asked_too_and_found_in_the_file_when_it_does_not_answer(
    tmp_path: Path, stack: ExitStack
) -> None:
    served = vendors(stack)
    ladder = "retry_budget: 3\n    fallback: [{vendor: openai, model: no-such-model}]"
    models = ("models:\n", "models:\n  no-such-model: {id: no-such-model, like: gpt-6.1-sol}\n")
    text = served.text if models[0] in served.text else "models:\n" + served.text
    found = loaded(tmp_path, changed(text, models, ("retry_budget: 3", ladder)))
    (line,) = problems(found, probed(found))
    assert "stages.coder.fallback.0.model: openai/no-such-model did not answer" in line


def test_what_a_model_said_is_shown_with_its_time_tokens_and_cost(tmp_path: Path, stack: ExitStack) -> None:
    text = probe_report.render(probed(loaded(tmp_path, vendors(stack).text)))
    lines = [line.split(" in ") for line in text.splitlines() if "answered" in line]
    assert lines[0][0].split() == [MODELS[0], "answered", "as", "claude-opus-5-5"]
    assert lines[0][1].endswith(" ms, 20 + 5 tokens, $0.00018")  # 20 x $4 and 5 x $20 per million
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("brain", "traits"),
    [(OK, Traits(reports=False)), (always(Say("ok", usage=Usage(20, 90, 0, 5))), Traits())],
    ids=["no usage", "more from the cache than there was"],
)
def test_what_a_server_does_not_credibly_count_is_shown_as_unknown_and_not_as_free(
    tmp_path: Path, stack: ExitStack, brain: Brain, traits: Traits
) -> None:
    server = stack.enter_context(chat_server(brain, traits=traits))
    prices = "prices: {'*': {input: 4, output: 20}}"
    text = f"vendors: {{mine: {{base_url: '{server.url}', api_key_env: MINE, {prices}}}}}\n"
    found = loaded(tmp_path, text + changed(SOUND, *[("vendor: anthropic", "vendor: mine")] * 3))
    answers = probed(found, {"mine": CHAT_KEY, "google": GOOGLE_KEY})
    assert ", no credible usage reported, cost unknown" in probe_report.render(answers)
    assert probe_report.spent(answers[:1]) == "0 tokens at an unknown price"


def test_an_unknown_price_is_shown_as_unknown(tmp_path: Path, stack: ExitStack) -> None:
    server = stack.enter_context(chat_server(OK))
    text = f"vendors: {{mine: {{base_url: '{server.url}', api_key_env: MINE}}}}\n"
    found = loaded(tmp_path, text + changed(SOUND, *[("vendor: anthropic", "vendor: mine")] * 3))
    answers = probed(found, {"mine": CHAT_KEY, "google": GOOGLE_KEY})
    assert "20 + 5 tokens, cost unknown" in probe_report.render(answers)
    assert found.settings is not None
    assert at_most(found.settings, targets(found.settings)) is None
    assert probe_report.spent(answers[:1]) == "25 tokens at an unknown price"


@pytest.mark.parametrize(
    ("say", "line", "hint"),
    [
        (Say(status=401, message="bad key"), "auth: anthropic answered 401 authentication_error: bad key",
         "look at the key in ANTHROPIC_API_KEY, and at what it may use"),
        (Say(status=402, message="no credit"), "billing: anthropic answered 402 billing_error: no credit",
         "look at the account's credit and spend limits at the vendor"),
        (Say(status=429, message="slow", headers={"retry-after": "7200"}),
         "rate_limit: anthropic answered 429 rate_limit_error: slow", "the vendor names 7200 s: ask again then"),
        (Say(status=529), "overloaded: anthropic answered 529 overloaded_error: scripted failure",
         "ask again later; in a run such an error is waited for"),
        (Say(status=404, message="no such model"), "bad_request: anthropic answered 404 not_found_error: no such model",
         "look at the model's id and at the knobs of its rung"),
    ],
)  # fmt: skip
def test_a_model_that_does_not_answer_is_a_problem_where_the_file_names_it(
    say: Say, line: str, hint: str, tmp_path: Path, stack: ExitStack
) -> None:
    served = vendors(stack, anthropic=by_model({"claude-opus-5-5": always(say), "claude-sonnet-5-5": OK}))
    found = loaded(tmp_path, served.text)
    answers = probed(found)
    assert problems(found, answers) == [
        f"SW501 pipeline.yaml:10:5: stages.planner.model: anthropic/claude-opus-5-5 did not answer: {line}; {hint}"
    ]
    assert served.anthropic.models == ["claude-opus-5-5", "claude-sonnet-5-5"], "asked once, and then the next model"


def test_a_server_that_is_not_there_is_named_with_its_address(tmp_path: Path, stack: ExitStack) -> None:
    served = vendors(stack)
    served.google.close()
    found = loaded(tmp_path, served.text)
    (line,) = problems(found, probed(found))
    assert "google/gemini-3.8-flash did not answer: network: cannot connect" in line
    assert f"look at vendors.google.base_url ({served.google.url})" in line


def test_a_server_that_says_nothing_is_left_at_the_shorter_of_both_limits(tmp_path: Path, stack: ExitStack) -> None:
    served = vendors(stack, google=always(Say(fault="hang")))
    found = loaded(tmp_path, changed(served.text, ("timeout: 120s", "timeout: 1")))
    answers = probed(found)
    (line,) = problems(found, answers)
    assert "timeout: no answer within 1 s" in line
    assert served.google.disconnected.wait(5)
    assert [each.target.seconds for each in answers] == [30, 30, 1]


def test_the_vendors_are_asked_at_the_same_time_and_a_vendors_own_models_take_turns(
    tmp_path: Path, stack: ExitStack
) -> None:
    order: list[str] = []
    google_was_asked = threading.Event()

    def opus(_conversation: Conversation) -> Say:
        order.append("opus")
        return Say("ok", status=200 if google_was_asked.wait(10) else 500)

    def sonnet(_conversation: Conversation) -> Say:
        order.append("sonnet")
        return Say("ok")

    def gemini(_conversation: Conversation) -> Say:
        google_was_asked.set()
        return Say("ok")

    brain = by_model({"claude-opus-5-5": opus, "claude-sonnet-5-5": sonnet})
    found = loaded(tmp_path, vendors(stack, anthropic=brain, google=gemini).text)
    assert problems(found, probed(found)) == []
    assert order == ["opus", "sonnet"]


def test_a_key_never_appears_in_what_is_shown(tmp_path: Path, stack: ExitStack) -> None:
    echo = always(Say(status=401, message=f"invalid key {ANTHROPIC_KEY}"))
    found = loaded(tmp_path, vendors(stack, anthropic=echo).text)
    answers = probed(found)
    shown = probe_report.render(answers) + "".join(problems(found, answers))
    assert "invalid key [" in shown
    assert ANTHROPIC_KEY not in shown
    assert ANTHROPIC_KEY not in repr([each for each in answers if isinstance(each, Silent)])


def test_the_vendors_word_on_a_models_end_is_a_warning(tmp_path: Path, stack: ExitStack) -> None:
    served = vendors(stack, ending={"claude-opus-5-5": "2027-01-31", "claude-sonnet-5-5": None})
    found = loaded(tmp_path, served.text)
    assert found.settings is not None
    warnings = probe_report.warnings(probed(found), found.settings, found.positions)
    assert [each.line_text().partition(": anthropic says that ")[::2] for each in warnings] == [
        (
            "SW205 pipeline.yaml:10:5: stages.planner.model",
            "claude-opus-5-5 is deprecated and retires on 2027-01-31; use another model",
        ),
        ("SW205 pipeline.yaml:15:5: stages.coder.model", "claude-sonnet-5-5 is deprecated; use another model"),
    ]


@pytest.mark.parametrize("ending", [None, {}])
def test_a_server_that_knows_of_no_end_is_not_complained_about(
    ending: Mapping[str, str | None] | None, tmp_path: Path, stack: ExitStack
) -> None:
    found = loaded(tmp_path, vendors(stack, ending=ending).text)
    answers = probed(found)
    assert found.settings is not None
    assert probe_report.warnings(answers, found.settings, found.positions) == ()
    assert problems(found, answers) == []


def test_what_was_put_otherwise_for_a_server_is_said(tmp_path: Path, stack: ExitStack) -> None:
    server = stack.enter_context(chat_server(OK, traits=Traits(refuses=frozenset({"max_completion_tokens"}))))
    text = f"vendors: {{ollama: {{base_url: '{server.url}', api_key_env: MINE}}}}\n"
    models = [("vendor: anthropic\n    model: claude-opus-5-5", "vendor: ollama\n    model: probe-model")] * 2
    coder = ("vendor: anthropic\n    model: claude-sonnet-5-5", "vendor: ollama\n    model: probe-model")
    found = loaded(tmp_path, text + changed(SOUND, *models, coder))
    shown = probe_report.render(probed(found, {"ollama": CHAT_KEY}))
    assert "`max_completion_tokens` was refused: `max_tokens` is sent instead" in shown


def test_the_scripted_vendor_answers_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "replies.yaml").write_text("models: {one: [{replies: [{text: hello}]}]}\n", encoding="utf-8")
    ours = [("vendor: anthropic\n    model: claude-opus-5-5", "vendor: scripted\n    model: one")] * 2
    others = [("vendor: anthropic\n    model: claude-sonnet-5-5", "vendor: scripted\n    model: one"),
              ("vendor: google\n    model: gemini-3.8-flash", "vendor: scripted\n    model: two")]  # fmt: skip
    found = loaded(tmp_path, "vendors: {scripted: {replies: replies.yaml}}\n" + changed(SOUND, *ours, *others))
    one, two = probed(found, {})
    assert isinstance(one, Answered)
    assert isinstance(two, Silent)
    assert "has no model 'two'" in two.message


def test_a_vendor_whose_library_cannot_be_loaded_is_named_and_the_others_are_asked(
    tmp_path: Path, stack: ExitStack
) -> None:
    async def connect(surface: str, binding: Binding) -> Model:
        if surface == "google":
            raise InfrastructureError("vendor google: its library cannot be imported")
        return await loader.connect(surface, binding)

    found = loaded(tmp_path, vendors(stack).text)
    answers = probed(found, connect=connect)
    assert problems(found, answers) == [
        (
            "SW501 pipeline.yaml:25:5: stages.reviewer.model: google/gemini-3.8-flash did not answer: "
            "vendor google: its library cannot be imported"
        )
    ]
    assert [isinstance(each, Answered) for each in answers] == [True, True, False]
    assert "not asked after" in probe_report.render(answers)


def test_the_key_of_a_vendor_that_only_a_later_rung_names_is_asked_for_before_the_probe(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ladder = "retry_budget: 3\n    escalation: {vendor: openai, model: gpt-6.1-sol}"
    (project / "pipeline.yaml").write_text(changed(SOUND, ("retry_budget: 3", ladder)), encoding="utf-8")
    assert main(["check", "--probe"]) == 3
    assert "the key of openai is not set" in capsys.readouterr().out


def test_a_subscriptions_program_is_asked_and_counts_against_the_quota(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [
        {"type": "thread.started", "thread_id": "t-1"},
        {"type": "turn.started"},
        {"type": "item.completed", "item": {"type": "agent_message", "text": "ok"}},
        {"type": "turn.completed", "usage": {"input_tokens": 300, "cached_input_tokens": 0, "output_tokens": 2}},
    ]
    program = tmp_path / "codex"
    lines = "\n".join(json.dumps(each) for each in said)
    program.write_text(f"#!{sys.executable} -S\nimport sys\nsys.stdin.read()\nprint({lines!r})\n", encoding="utf-8")
    program.chmod(0o755)
    log_in(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    served = vendors(stack)
    reviewer = ("vendor: google\n    model: gemini-3.8-flash", "vendor: codex\n    model: gpt-6.1-sol")
    found = loaded(
        tmp_path, changed(served.text, ("vendors:\n", f"vendors:\n  codex: {{command: {program}}}\n"), reviewer)
    )
    answers = probed(found)
    assert problems(found, answers) == []
    shown = probe_report.render(answers).splitlines()[-1]
    assert shown.endswith("300 + 2 tokens, paid by the subscription that `codex` is logged in with")
    assert probe_report.spent(answers) == "352 tokens at $0.00027"
    assert found.settings is not None
    assert at_most(found.settings, targets(found.settings)) is not None, "a quota is no unknown price"


def test_the_most_a_probe_can_cost_is_said_before_it_is_made(tmp_path: Path, stack: ExitStack) -> None:
    found = loaded(tmp_path, vendors(stack).text)
    assert found.settings is not None
    asked = targets(found.settings)
    most = at_most(found.settings, asked)
    assert most is not None
    said = probe_report.announcement(asked, most)
    assert all(name in said for name in MODELS)
    assert f"${most:.4f} in all" in said


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_repository(tmp_path / "project")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ANTHROPIC_API_KEY", ANTHROPIC_KEY)
    monkeypatch.setenv("GEMINI_API_KEY", GOOGLE_KEY)
    return folder


@pytest.mark.docker
def test_check_probes_only_when_it_is_asked_to(
    project: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    served = vendors(stack)
    (project / "pipeline.yaml").write_text(served.text, encoding="utf-8")
    assert main(["check"]) == 0
    assert (served.anthropic.log, served.google.log) == ([], []), "nobody is asked without --probe"
    capsys.readouterr()
    assert main(["check", "--probe"]) == 0
    printed = capsys.readouterr()
    assert printed.out.count("answered as") == 3
    assert printed.err.startswith("probe: one call each to anthropic/claude-opus-5-5, ")
    assert "every model answered (75 tokens at $0.0" in printed.err
    assert ANTHROPIC_KEY not in printed.out + printed.err


@pytest.mark.docker
def test_check_exits_3_when_a_model_did_not_answer(
    project: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    served = vendors(stack, google=always(Say(status=401, message="no")))
    (project / "pipeline.yaml").write_text(served.text, encoding="utf-8")
    assert main(["check", "--probe"]) == 3
    printed = capsys.readouterr()
    assert "SW501 pipeline.yaml:25:5: stages.reviewer.model: google/gemini-3.8-flash did not answer: auth: " in (
        printed.out
    )
    assert "1 problem; the answers came to 50 tokens" in printed.err
    assert "nothing was spent" not in printed.err


@pytest.mark.docker
def test_the_vendors_warning_counts_under_strict(project: Path, stack: ExitStack) -> None:
    served = vendors(stack, ending={"claude-opus-5-5": "2027-01-31"})
    (project / "pipeline.yaml").write_text(served.text, encoding="utf-8")
    assert main(["check", "--probe"]) == 0
    assert main(["check", "--probe", "--strict"]) == 3


def test_nobody_is_asked_while_anything_is_wrong(
    project: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    served = vendors(stack)
    text = changed(served.text, ("timeout: 20m", "timeout: 0"))
    (project / "pipeline.yaml").write_text(text, encoding="utf-8")
    assert main(["check", "--probe"]) == 3
    assert "nothing was started, nothing was spent" in capsys.readouterr().err
    assert served.asked == []


def test_a_look_at_the_file_alone_cannot_probe(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--probe", "--config-only"]) == 2
    assert "not allowed with argument" in capsys.readouterr().err
