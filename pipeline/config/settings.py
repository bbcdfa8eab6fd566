"""The resolved configuration: what a run reads once every default, alias and rung is worked out."""

from decimal import Decimal
from typing import Literal

from pipeline.surface import STALL_SECONDS, Api
from stages.artifacts import STAGES, Frozen, StageName
from stages.model import Effort

OnExhaust = Literal["halt", "surface_to_human"]


class Price(Frozen):
    """USD per million tokens."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None


class ModelDeclaration(Frozen):
    """An entry of `models:`: an id, the known model it resembles, and its prices."""

    id: str
    like: str | None = None
    prices: Price | None = None


class Rung(Frozen):
    """One rung of a stage, fully resolved: everything an attempt on it needs. Seconds and tokens.

    `fallback` are the entries an attempt on it restarts with, one after the other, when the vendor has an outage.
    """

    vendor: str
    model: str
    like: str | None = None
    timeout: float
    stall: float = STALL_SECONDS
    max_output_tokens: int
    effort: Effort | None = None
    temperature: float | None = None
    fallback: tuple["Rung", ...] = ()


class StageSettings(Frozen):
    """One stage's entry; `rungs[0]` is the entry itself. `instructions` is the resolved text."""

    name: StageName
    rungs: tuple[Rung, ...]
    retry_budget: int
    on_exhaust: OnExhaust = "halt"
    instructions: str = ""
    tokens: int | None = None
    cost: Decimal | None = None
    attaches_to: tuple[StageName, ...] = ()
    can_route_to: tuple[StageName, ...] = ()

    @property
    def attempts(self) -> int:
        """How many attempts the stage has of its own."""
        return 1 + self.retry_budget

    @property
    def served_by(self) -> tuple[Rung, ...]:
        """Return everything an attempt can run on: the rungs in order, each before its fallbacks."""
        return tuple(one for rung in self.rungs for one in (rung, *rung.fallback))


class VendorSettings(Frozen):
    """Where and with which key a vendor is reached, and how fast. `api_key_env` None means no key.

    `other_key_envs` are read, in order, where that variable is not set; `key_optional` says that none may be.
    `surface` is the vendor whose module serves it, where that is not its own name. The three limits hold for all
    runs of this machine together; None is no limit.
    """

    name: str
    surface: str | None = None
    api: Api | None = None
    key_optional: bool = False
    base_url: str | None = None
    api_key_env: str | None = None
    other_key_envs: tuple[str, ...] = ()
    prices: dict[str, Price] = {}
    command: str | None = None  # the program of a subscription vendor: an absolute path, or a name on PATH
    replies: str | None = None  # scripted: absolute path of the file with the replies
    max_concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class CheckSettings(Frozen):
    """One check of the user's. Timeout in seconds."""

    name: str
    run: str
    timeout: float
    report: Literal["junit"] | None = None
    focus: str | None = None


class Allowlist(Frozen):
    """The hosts that commands in the sandbox may reach, as they are written."""

    allowlist: tuple[str, ...]


class SandboxSettings(Frozen):
    """The container's make-up. Sizes in bytes, timeout in seconds.

    Without `image` and `dockerfile` the image is chosen from the repository; without `setup`, and not with an empty
    one, the repository may propose its commands.
    """

    image: str | None = None
    dockerfile: str | None = None
    setup: tuple[str, ...] | None = None
    setup_timeout: float | None = None
    network: Literal["none", "setup"] | Allowlist = "none"
    memory: int = 4 << 30
    cpus: float = 2.0
    pids: int = 512
    disk: int = 2 << 30
    runtime: Literal["runc", "runsc"] | None = None


class Limits(Frozen):
    """The bounds of a run. Seconds, tokens, USD."""

    tokens: int
    wall_clock: float
    cost: Decimal | None = None
    work_items: int = 12


class RepositorySettings(Frozen):
    """Which part of the repository is the project: a folder from its root, empty for all of it."""

    subdir: str = ""


class Settings(Frozen):
    """A whole configuration, resolved. No key is ever in it."""

    limits: Limits
    planner: StageSettings
    coder: StageSettings
    debugger: StageSettings | None
    reviewer: StageSettings | None
    checks: tuple[CheckSettings, ...]
    sandbox: SandboxSettings = SandboxSettings()
    repo: RepositorySettings = RepositorySettings()
    vendors: dict[str, VendorSettings] = {}
    models: dict[str, ModelDeclaration] = {}

    def surface_of(self, vendor: str) -> str:
        """Return the name of the module that serves a vendor: its own, but for servers only this file knows."""
        entry = self.vendors.get(vendor)
        return (entry.surface if entry else None) or vendor

    def stage(self, name: StageName) -> StageSettings | None:
        """Return a stage's settings, None when it is switched off."""
        stages: dict[StageName, StageSettings | None] = {
            "planner": self.planner,
            "coder": self.coder,
            "debugger": self.debugger,
            "reviewer": self.reviewer,
        }
        return stages[name]

    def every_rung(self) -> tuple[tuple[StageName, int, int, Rung], ...]:
        """Return whatever a stage can be on, with stage, number of the rung, and of its fallback (0: the rung)."""
        stages = (self.stage(name) for name in STAGES)
        return tuple(
            (stage.name, number, fallback, one)
            for stage in stages
            if stage is not None
            for number, rung in enumerate(stage.rungs, start=1)
            for fallback, one in enumerate((rung, *rung.fallback))
        )
