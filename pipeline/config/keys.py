"""Every key of `pipeline.yaml`: the one description that the reader and the JSON Schema share."""

from decimal import Decimal
from typing import Any, get_args

from pipeline.config.format import (
    Choice,
    Duration,
    Either,
    Integer,
    Key,
    Many,
    Named,
    Number,
    Record,
    Size,
    Text,
    Unset,
)
from pipeline.config.settings import Limits, SandboxSettings
from stages.artifacts import STAGES, StageName
from stages.model import Effort

EFFORTS: tuple[Effort, ...] = get_args(Effort)
DEFAULT_OUTPUT_TOKENS = 16_000
DEFAULT_STALL = "5m"
TOKENS = Integer(1, 10**15)
MONEY = Number(Decimal("0.000001"), Decimal(10**9))
PRICE = Number(Decimal(0), Decimal(10**6))
COMMAND = Text(expand=False, expected="a command")
VARIABLE = Text(
    expand=False,
    pattern=r"[A-Z_][A-Z0-9_]*",
    expected="the name of an environment variable, in capital letters",
    hint="write the variable's name, never the key itself",
)
ANY_STAGE = Either(Choice((*STAGES, "any_stage")), Many(Choice(STAGES)))
SANDBOX = SandboxSettings()


def _field(settings: type[Limits], name: str) -> Any:
    return settings.model_fields[name].default


PRICES = Record((
    Key("input", PRICE, "USD per million input tokens", "input: 2", required=True),
    Key("output", PRICE, "USD per million output tokens", "output: 10", required=True),
    Key("cache_read", PRICE, "USD per million input tokens read from the cache", "cache_read: 0.2"),
    Key("cache_write", PRICE, "USD per million input tokens written to the cache", "cache_write: 2.5"),
), name="prices")  # fmt: skip

LIMITS = Record((
    Key("tokens", TOKENS, "global circuit breaker of one run: input - cache reads + output of every call",
        "tokens: 1_500_000", required=True),
    Key("cost", MONEY, "the same in USD; every model must have a known price then", "cost: 10.00"),
    Key("wall_clock", Duration(), "time limit of the whole run", "wall_clock: 2h", required=True),
    Key("work_items", Integer(1, 1000), "most work items a manifest may have", "work_items: 12",
        default=_field(Limits, "work_items")),
    Key("batch", Record((
        Key("tokens", TOKENS, "token cap of several tickets together", "tokens: 20_000_000"),
        Key("cost", MONEY, "USD cap of several tickets together", "cost: 100"),
    )), "caps of several tickets run together", "batch: {tokens: 20_000_000}", later=True),
))  # fmt: skip

MODEL = Either(Text(), Record((
    Key("id", Text(), "the id the vendor knows the model by", "id: claude-next", required=True),
    Key("like", Text(), "a known model whose capabilities it has", "like: claude-opus-5-5"),
    Key("prices", PRICES, "its prices", "prices: {input: 4, output: 20}"),
)))  # fmt: skip

VENDOR = Record((
    Key("api", Choice(("responses", "chat", "auto")), "the wire protocol of an OpenAI-compatible server",
        "api: chat"),
    Key("base_url", Text(), "the server, as the vendor's SDK takes it (openai's ends in /v1)",
        'base_url: "https://gateway.example/v1"'),
    Key("api_key_env", VARIABLE, "the environment variable that holds the key", "api_key_env: OPENAI_API_KEY"),
    Key("api_key", Choice(("none",), secret=True), "`none` for a server without keys; never a key",
        "api_key: none"),
    Key("prices", Named(PRICES, "a model id, or * for every model"), "prices by model id",
        'prices: {"*": {input: 0, output: 0}}'),
    Key("replies", Text(), "scripted: the file with the recorded replies", "replies: replies.yaml"),
    Key("command", Text(), "the program of a vendor that a subscription pays for, when PATH has another or none",
        "command: /opt/claude/bin/claude"),
), name="vendor")  # fmt: skip

FALLBACK = Many(Record((
    Key("vendor", Text(), "the vendor to take instead", "vendor: openai", required=True),
    Key("model", Text(), "its model", "model: gpt-6.1-sol", required=True),
    Key("effort", Choice(EFFORTS), "its effort", "effort: high"),
), name="fallback"))  # fmt: skip

RUNG = Record((
    Key("vendor", Text(), "another vendor", "vendor: openai"),
    Key("model", Text(), "another model", "model: opus"),
    Key("timeout", Duration(), "another time limit of one attempt", "timeout: 30m"),
    Key("stall", Duration(), "another longest silence of one model call", "stall: 10m"),
    Key("effort", Unset(Choice(EFFORTS)), "another effort; null for the model's default", "effort: high"),
    Key("temperature", Unset(Number(Decimal(0), Decimal(2), exact=False)), "another temperature; null for none",
        "temperature: 0.2"),
    Key("max_output_tokens", TOKENS, "another output limit per call", "max_output_tokens: 32000"),
    Key("compute", Choice(("increased",)), "one effort step above the rung before", "compute: increased"),
    Key("fallback", FALLBACK, "a vendor to take during an outage", "fallback: []", later=True),
), name="rung")  # fmt: skip

ESCALATION = Many(RUNG, single=True)


def _stage_keys() -> tuple[Key, ...]:
    return (
        Key("vendor", Text(), "who serves the model", "vendor: anthropic", required=True),
        Key("model", Text(), "a model id, or an alias of `models`", "model: claude-sonnet-5-5", required=True),
        Key("timeout", Duration(), "wall clock of one attempt, from its first prompt to its artifact",
            "timeout: 20m", required=True),
        Key("stall", Duration(), "longest silence of one model call on the wire; a timeout below it comes first",
            "stall: 5m", default=DEFAULT_STALL),
        Key("retry_budget", Integer(0, 1000), "attempts after the first", "retry_budget: 1", required=True),
        Key("effort", Choice(EFFORTS), "how hard the model thinks; without it the model's own default",
            "effort: high"),
        Key("temperature", Number(Decimal(0), Decimal(2), exact=False), "only where the model takes one",
            "temperature: 0.2"),
        Key("max_output_tokens", TOKENS, "most output tokens of one model call", "max_output_tokens: 16000",
            default=DEFAULT_OUTPUT_TOKENS),
        Key("instructions", Text(), "a file of the config's folder, or text; appended to the stage's prompt",
            "instructions: docs/coding-rules.md"),
        Key("tokens", TOKENS, "this stage's share of limits.tokens", "tokens: 900_000"),
        Key("cost", MONEY, "this stage's share of limits.cost, USD", "cost: 5.00"),
        Key("escalation", ESCALATION, "the rungs after the first; entry k is used once k retries are consumed",
            "escalation: {compute: increased}"),
        Key("on_retry", ESCALATION, "another word for escalation", "on_retry: {compute: increased}"),
        Key("fallback", FALLBACK, "a vendor to take during an outage of this one", "fallback: []", later=True),
    )  # fmt: skip


def _stage(name: StageName) -> Record:
    routing = {
        key: f"only the Debugger takes `{key}`, not the {name.capitalize()}" for key in ("attaches_to", "can_route_to")
    }
    on_exhaust = Key(
        "on_exhaust",
        Choice(("halt", "surface_to_human")),
        "what happens when the stage is used up",
        "on_exhaust: surface_to_human",
        default="halt",
    )
    return Record((*_stage_keys(), on_exhaust), refused=routing)


DEBUGGER = Record(
    (
        *_stage_keys(),
        Key("attaches_to", ANY_STAGE, "the stages it diagnoses", "attaches_to: any_stage", default="any_stage"),
        Key("can_route_to", ANY_STAGE, "the stages it may hand the fix to", "can_route_to: any_stage",
            default="any_stage"),
    ),
    refused={"on_exhaust": "the Debugger has none: `on_exhaust` of the stage it attached to counts"},
)  # fmt: skip

STAGES_RECORD = Record((
    Key("planner", _stage("planner"), "turns the ticket into a manifest", "planner: {...}", required=True),
    Key("coder", _stage("coder"), "writes one work item at a time", "coder: {...}", required=True),
    Key("debugger", Either(Choice(("none",)), DEBUGGER), "finds out who owns the fix", "debugger: none",
        required=True),
    Key("reviewer", Either(Choice(("none",)), _stage("reviewer")), "judges the finished change", "reviewer: none",
        required=True),
))  # fmt: skip

CHECK = Record((
    Key("name", Text(pattern=r"[A-Za-z0-9._-]{1,60}", expected="1 to 60 letters, digits, `.`, `_` or `-`",
                      hint="write a name such as tests"),
        "how the check is called", "name: tests", required=True),
    Key("run", COMMAND, "the command, run by sh in the sandbox; $REPORT is where its report goes", 'run: "pytest -q"',
        required=True),
    Key("timeout", Duration(), "time limit of the command", "timeout: 10m", required=True),
    Key("report", Choice(("junit",)), "the form of the report the command writes to $REPORT", "report: junit"),
    Key("focus", COMMAND, "the command for some tests only; {tests} is replaced by them", 'focus: "pytest -q {tests}"'),
), name="check")  # fmt: skip

NETWORK = Either(
    Choice(("none", "setup")),
    Record(
        (
            Key(
                "allowlist",
                Many(Text(), least=1),
                "hosts that setup and every other command may reach",
                "allowlist: [api.test]",
                required=True,
            ),
        )
    ),
)

SANDBOX_RECORD = Record((
    Key("image", Text(), "the container image, never pulled; without it chosen from the repository",
        "image: stagewright/python"),
    Key("dockerfile", Text(), "a Dockerfile of the repository, as committed, to build the image from",
        "dockerfile: Dockerfile"),
    Key("setup", Many(COMMAND, single=True), "commands that prepare the environment, cached",
        'setup: ["pip install -e ."]'),
    Key("setup_timeout", Duration(), "time limit of the setup, required with it", "setup_timeout: 10m"),
    Key("network", NETWORK, "what may be reached: nothing, any public host while `setup` runs, or listed hosts",
        "network: setup", default=SANDBOX.network),
    Key("memory", Size(), "memory limit", "memory: 4g", default="4g"),
    Key("cpus", Number(Decimal("0.01"), Decimal(4096), exact=False), "processor cores", "cpus: 2", default=2),
    Key("pids", Integer(16, 4_000_000), "most processes at a time", "pids: 512", default=SANDBOX.pids),
    Key("disk", Size(), "size of the work tree: in memory in all, on a disk volume what commands may add", "disk: 2g",
        default="2g"),
    Key("runtime", Choice(("runc", "runsc")), "what isolates the container; without it the engine's default",
        "runtime: runsc"),
))  # fmt: skip

REPO_RECORD = Record((
    Key("subdir", Text(expected="a folder"), "the project's folder: commands run in it, and nothing outside may change",
        "subdir: services/api"),
))  # fmt: skip

FILE = Record((
    Key("version", Integer(1, 1), "version of this format", "version: 1", default=1),
    Key("limits", LIMITS, "the bounds of a run", "limits: {tokens: 1_500_000, wall_clock: 2h}", required=True),
    Key("models", Named(MODEL, "an alias"), "aliases and models newer than our tables",
        "models: {opus: claude-opus-5-5}"),
    Key("vendors", Named(VENDOR, "a vendor", vendors=True),
        "where and with which key vendors are reached, and servers of your own",
        "vendors: {anthropic: {...}}"),
    Key("stages", STAGES_RECORD, "one entry per stage", "stages: {planner: {...}, ...}", required=True),
    Key("checks", Many(CHECK, least=1), "what must be green; the runner runs them",
        'checks: [{name: tests, run: "pytest -q", timeout: 10m}]', required=True),
    Key("sandbox", SANDBOX_RECORD, "the container commands run in", "sandbox: {memory: 4g}"),
    Key("repo", REPO_RECORD, "which part of the repository is the project", "repo: {subdir: services/api}"),
))  # fmt: skip
