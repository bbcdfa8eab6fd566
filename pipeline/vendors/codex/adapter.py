"""Calls `codex exec` for one completion: no tools, our instructions alone, nothing tried twice."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.surface import Binding
from pipeline.vendors._command_line import Ask, CommandLineModel
from pipeline.vendors._private_place import Place
from pipeline.vendors.codex import SURFACE
from pipeline.vendors.codex.ears import CodexEars
from pipeline.vendors.codex.login import LOGIN_HINT, access_token, login_copy
from pipeline.vendors.codex.requests import LOGGED
from stages.model import Model, ModelError

SERVER = "https://chatgpt.com/backend-api/codex"  # where the program itself goes with this login
_ARGUMENTS = (
    *("exec", "--json", "--skip-git-repo-check", "--ephemeral", "--ignore-user-config"),
    *("--sandbox", "read-only"),
)
_FEATURES_OFF = (
    *("shell_tool", "unified_exec", "multi_agent", "goals", "plugins", "apps", "view_image"),
    *("sleep_tool", "hooks", "skill_search", "tool_suggest", "image_generation"),
)


def connect(binding: Binding) -> Model:
    """Return the model; no process yet."""
    environ = dict(os.environ)
    return CommandLineModel(
        vendor=SURFACE.name,
        model=binding.model,
        command=binding.command or "codex",
        program=CodexProgram(binding, environ),
        environ=environ,
        base_url=binding.base_url,
        secret=lambda: access_token(environ),
    )


@dataclass(frozen=True, slots=True)
class CodexProgram:
    """Codex with one model's settings."""

    binding: Binding
    environ: Mapping[str, str]

    def invocation(self, ask: Ask, place: Place) -> tuple[list[str], dict[str, str]]:
        """See `_command_line.Program`."""
        login = login_copy(self.environ, datetime.now(UTC))
        if login is None:
            raise ModelError("auth", f"codex has no login; {LOGIN_HINT}", generated=False)
        auth = place.write("codex/auth.json", login)
        settings = {
            "model_instructions_file": str(place.write("instructions.md", ask.system)),
            "model_catalog_json": str(place.write("models.json", _catalog(self.binding.model))),
            "web_search": "disabled",
            "include_environment_context": False,
            "include_permissions_instructions": False,
            "skills.include_instructions": False,
            "project_doc_max_bytes": 0,
            "check_for_update_on_startup": False,
            "analytics.enabled": False,
            "model_provider": "stagewright",
            "model_providers.stagewright": {
                "name": "stagewright",
                "base_url": self.binding.base_url or SERVER,
                "requires_openai_auth": True,
                "wire_api": "responses",
                "request_max_retries": 0,
                "stream_max_retries": 0,
            },
        }
        if self.binding.effort is not None:
            settings["model_reasoning_effort"] = self.binding.effort
        arguments = [*_ARGUMENTS, "--model", self.binding.model]
        arguments += [word for feature in _FEATURES_OFF for word in ("--disable", feature)]
        arguments += [word for key, value in settings.items() for word in ("--config", f"{key}={_toml(value)}")]
        return [*arguments, "-"], {"CODEX_HOME": str(auth.parent), "RUST_LOG": LOGGED}

    def ears(self, ask: Ask) -> CodexEars:
        """See `_command_line.Program`."""
        size = len(ask.system.encode()) + len(ask.prompt.encode())
        return CodexEars(self.binding.model, size, ask.max_output_tokens)


def _catalog(model: str) -> str:
    """Return a catalogue with this model alone and without a tool.

    The program's own gives its newer models a shell, agents and a JavaScript engine that no switch takes away.
    """
    efforts = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
    entry = {
        "slug": model,
        "display_name": model,
        "description": None,
        "default_reasoning_level": "medium",
        "supported_reasoning_levels": [{"effort": effort, "description": effort} for effort in efforts],
        "shell_type": "disabled",
        "visibility": "list",
        "supported_in_api": True,
        "priority": 1,
        "base_instructions": "",
        "supports_reasoning_summaries": True,
        "support_verbosity": False,
        "default_verbosity": None,
        "apply_patch_tool_type": None,
        "truncation_policy": {"mode": "tokens", "limit": 10_000},
        "supports_parallel_tool_calls": False,
        "context_window": 1_000_000,  # so that it never shortens a conversation by calls of its own
        "experimental_supported_tools": [],
        "input_modalities": ["text"],
        "upgrade": None,
        "availability_nux": None,
        "supports_search_tool": False,
    }
    return json.dumps({"models": [entry]})


def _toml(value: object) -> str:
    """Return a value as TOML; strings, numbers and truth values are written as in JSON."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
