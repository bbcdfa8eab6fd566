"""Calls `claude` for one completion: no tools, our system text, nothing tried twice, no other model asked."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.surface import Binding
from pipeline.vendors._command_line import Ask, CommandLineModel
from pipeline.vendors._private_place import Place
from pipeline.vendors.claude_code import SURFACE
from pipeline.vendors.claude_code.ears import ClaudeEars
from pipeline.vendors.claude_code.login import LOGIN_HINT, TOKEN_VARIABLE, access_token
from stages.model import Model, ModelError

_ARGUMENTS = (
    *("--print", "--output-format", "stream-json", "--verbose", "--include-partial-messages"),
    *("--tools", "", "--strict-mcp-config", "--setting-sources", "", "--safe-mode", "--no-session-persistence"),
)
_SWITCHES = (
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "DISABLE_AUTOUPDATER",
    # Each of these would pay for a call nobody asked for.
    "CLAUDE_CODE_DISABLE_REFUSAL_FALLBACK",
    "CLAUDE_CODE_DISABLE_REFUSAL_RETRY",
    "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK",
    "CLAUDE_CODE_DISABLE_MODEL_ACCESS_FALLBACK",
)


def connect(binding: Binding) -> Model:
    """Return the model; no process yet."""
    environ = dict(os.environ)
    program = ClaudeProgram(binding, environ)
    return CommandLineModel(
        vendor=SURFACE.name,
        model=binding.model,
        command=binding.command or "claude",
        program=program,
        environ=environ,
        base_url=binding.base_url,
        secret=program.token,
    )


@dataclass(frozen=True, slots=True)
class ClaudeProgram:
    """Claude Code with one model's settings."""

    binding: Binding
    environ: Mapping[str, str]

    def token(self) -> str | None:
        """Return the token of the subscription, read anew for each call: the user's own login renews it."""
        return self.binding.api_key or access_token(self.environ)

    def invocation(self, ask: Ask, place: Place) -> tuple[list[str], dict[str, str]]:
        """See `_command_line.Program`."""
        token = self.token()
        if token is None:
            raise ModelError("auth", f"claude-code has no login; {LOGIN_HINT}", generated=False)
        system = place.write("system.md", ask.system)
        arguments = [*_ARGUMENTS, "--model", self.binding.model, "--system-prompt-file", str(system)]
        if self.binding.effort is not None:
            arguments += ["--effort", self.binding.effort]
        own = dict.fromkeys(_SWITCHES, "1") | {
            TOKEN_VARIABLE: token,
            "CLAUDE_CONFIG_DIR": str(place.home / "claude"),
            "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(ask.max_output_tokens),
            "CLAUDE_CODE_MAX_RETRIES": "0",
        }
        return arguments, own | ({"ANTHROPIC_BASE_URL": self.binding.base_url} if self.binding.base_url else {})

    def ears(self, ask: Ask) -> ClaudeEars:  # noqa: ARG002 - what the answer is judged by is in the answer
        """See `_command_line.Program`."""
        return ClaudeEars(self.binding.model)
