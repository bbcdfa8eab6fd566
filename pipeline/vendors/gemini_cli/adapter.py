"""Calls `gemini` for one completion: no tools, our system text, an output limit, and nothing tried twice."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.surface import Binding
from pipeline.vendors._command_line import Ask, CommandLineModel
from pipeline.vendors._private_place import Place
from pipeline.vendors.gemini_cli import SURFACE
from pipeline.vendors.gemini_cli.ears import GeminiEars
from pipeline.vendors.gemini_cli.login import LOGIN_HINT, TOKEN_VARIABLE, access_token, login_copy
from stages.model import Model, ModelError


def connect(binding: Binding) -> Model:
    """Return the model; no process yet."""
    environ = dict(os.environ)
    return CommandLineModel(
        vendor=SURFACE.name,
        model=binding.model,
        command=binding.command or "gemini",
        program=GeminiProgram(binding, environ),
        environ=environ,
        base_url=binding.base_url,
        secret=lambda: binding.api_key or access_token(environ),
    )


@dataclass(frozen=True, slots=True)
class GeminiProgram:
    """Gemini CLI with one model's settings."""

    binding: Binding
    environ: Mapping[str, str]

    def invocation(self, ask: Ask, place: Place) -> tuple[list[str], dict[str, str]]:
        """See `_command_line.Program`."""
        place.write(".gemini/settings.json", json.dumps(self._settings(ask)))
        own = {
            "GEMINI_SYSTEM_MD": str(place.write("system.md", ask.system)),
            "GEMINI_CLI_NO_RELAUNCH": "true",  # else it is two processes, of which the first ignores signals
            "NO_BROWSER": "true",
            **self._login(place),
        }
        if self.binding.base_url:
            own["CODE_ASSIST_ENDPOINT"] = self.binding.base_url
        return ["--prompt", "", "--model", self.binding.model, "--output-format", "stream-json", "--skip-trust"], own

    def ears(self, ask: Ask) -> GeminiEars:
        """See `_command_line.Program`."""
        return GeminiEars(self.binding.model, ask.max_output_tokens)

    def _login(self, place: Place) -> dict[str, str]:
        if self.binding.api_key:
            return {"GOOGLE_GENAI_USE_GCA": "true", TOKEN_VARIABLE: self.binding.api_key}
        login = login_copy(self.environ)
        if login is None:
            raise ModelError("auth", f"gemini-cli has no login; {LOGIN_HINT}", generated=False)
        place.write(".gemini/oauth_creds.json", login)
        return {}

    def _settings(self, ask: Ask) -> dict[str, Any]:
        generation: dict[str, Any] = {"maxOutputTokens": ask.max_output_tokens}
        if self.binding.temperature is not None:
            generation["temperature"] = self.binding.temperature
        if self.binding.effort is not None:
            generation["thinkingConfig"] = {"thinkingLevel": self.binding.effort.upper()}
        override = {"match": {"model": self.binding.model}, "modelConfig": {"generateContentConfig": generation}}
        return {
            "security": {"auth": {"selectedType": "oauth-personal"}},
            "tools": {"core": ["none"]},
            "general": {"maxAttempts": 1, "disableAutoUpdate": True, "disableUpdateNag": True},
            "model": {"maxSessionTurns": 1},
            "modelConfigs": {"customOverrides": [override]},
            "privacy": {"usageStatisticsEnabled": False},
            "telemetry": {"enabled": False},
        }
