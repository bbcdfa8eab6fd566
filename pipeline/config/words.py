"""Finds the key a user probably meant: misspellings, words of similar tools, keys that stand elsewhere."""

import difflib
import re
from collections.abc import Iterator, Sequence

from pipeline.config.format import Either, Key, Kind, Many, Named, Record, Unset
from pipeline.config.keypath import child

WORDS: dict[str, tuple[str, ...]] = {
    "vendor": ("provider", "backend", "llm", "service", "custom_llm_provider"),
    "model": ("model_name", "engine", "deployment", "llm_model", "model_id"),
    "timeout": (
        "time_out", "time_limit", "timeout_seconds", "timeout_minutes", "timeout_s", "max_time", "deadline",
        "max_duration", "max_wall_time", "stage_timeout", "command_timeout", "wall_clock",
    ),
    "wall_clock": ("timeout", "time", "time_limit", "max_time", "max_duration", "wall_time", "wallclock", "deadline"),
    "stall": (
        "stall_timeout", "stall_limit", "stream_timeout", "stream_idle_timeout", "idle_timeout", "read_timeout", "idle",
        "silence",
    ),
    "retry_budget": (
        "max_retries", "retries", "retry", "max_attempts", "attempts", "num_retries", "max_iterations", "tries",
        "retry_limit",
    ),
    "effort": ("reasoning_effort", "reasoning", "thinking", "thinking_budget", "reasoning_level", "thinking_level"),
    "temperature": ("temp",),
    "max_output_tokens": ("max_tokens", "max_completion_tokens", "output_tokens", "num_predict", "max_new_tokens"),
    "tokens": ("max_tokens", "token_budget", "token_limit", "token_cap", "max_total_tokens", "budget_tokens"),
    "cost": ("max_cost", "budget", "max_budget", "max_budget_usd", "cost_limit", "usd", "max_usd", "price_limit"),
    "work_items": ("max_items", "items", "max_work_items", "max_tasks"),
    "escalation": ("escalate", "escalate_to", "on_fail", "on_failure", "upgrade", "ladder", "rungs"),
    "fallback": ("fallbacks", "fallback_models", "fallback_model"),
    "instructions": ("prompt", "system_prompt", "system", "rules", "system_message", "persona", "backstory"),
    "on_exhaust": ("on_exhausted", "on_give_up", "when_exhausted", "on_max_retries"),
    "attaches_to": ("attach_to", "attached_to", "watches"),
    "can_route_to": ("route_to", "routes", "routes_to", "can_route"),
    "api": ("api_type", "protocol", "wire_api", "flavor"),
    "base_url": ("api_base", "endpoint", "url", "host", "baseurl", "openai_api_base", "server"),
    "api_key_env": ("key_env", "env_key", "api_key_env_var", "key_variable", "api_key_name"),
    "api_key": ("key", "token", "apikey", "secret"),
    "run": ("cmd", "command", "script", "shell", "exec"),
    "report": ("format", "reporter", "report_format"),
    "focus": ("focused", "only", "run_some", "select"),
    "name": ("id", "title"),
    "setup": ("install", "prepare", "before", "init", "setup_commands"),
    "network": ("internet", "net", "network_mode"),
    "allowlist": ("whitelist", "allow", "allowed", "allowed_hosts", "allowed_domains", "domains", "hosts"),
    "memory": ("mem", "mem_limit", "memory_limit", "ram"),
    "cpus": ("cpu", "cpu_limit", "cores", "num_cpus"),
    "pids": ("pids_limit", "processes"),
    "runtime": ("oci_runtime", "container_runtime", "isolation"),
    "disk": ("storage", "disk_limit", "disk_size"),
    "repo": ("repository", "project", "monorepo", "git", "source"),
    "subdir": (
        "subdirectory", "sub_directory", "sub_dir", "folder", "directory", "dir", "root", "path", "workdir",
        "working_directory", "cwd", "package", "project_root",
    ),
    "stages": ("agents", "pipeline", "steps", "phases", "roles", "nodes"),
    "planner": ("plan", "architect", "planning"),
    "coder": ("code", "developer", "editor", "implementer", "worker", "coding", "engineer"),
    "debugger": ("debug", "fixer", "debugging"),
    "reviewer": ("review", "critic", "verifier", "reviewing"),
    "checks": ("tests", "test", "validators", "gates", "verify", "check"),
    "sandbox": ("container", "docker", "environment", "runtime"),
    "limits": ("budget", "budgets", "guardrails", "caps", "limit"),
    "models": ("aliases", "model_list"),
    "vendors": ("providers", "backends"),
    "input": ("input_cost", "prompt", "input_cost_per_million"),
    "output": ("output_cost", "completion", "output_cost_per_million"),
    "body": ("text", "content", "problem_statement"),
    "acceptance": ("acceptance_criteria", "criteria", "done_when", "requirements"),
    "allow": ("include", "paths", "files"),
    "deny": ("exclude", "ignore", "forbid", "exclusions"),
    "base": ("branch", "ref", "base_ref", "base_branch", "commit"),
    "labels": ("tags", "label"),
}  # fmt: skip


def meant(unknown: str, record: Record) -> str | None:
    """Return the record's key that an unknown one probably means."""
    names = [key.name for key in record.keys]
    word = _snake(unknown)
    if word in names:
        return word
    translated = next((name for name in names if word in WORDS.get(name, ())), None)
    return translated or nearest(word, names)


def nearest(word: str, known: Sequence[str], likeness: float = 0.7) -> str | None:
    """Return the known word that differs least, when one is close; `likeness` 1 takes only equal words."""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=likeness)), None)


def elsewhere(unknown: str, record: Record, file: Record) -> str | None:
    """Return the path at which a key with this name does exist."""
    word = _snake(unknown)
    others = [(path, key.name) for path, key, owner in _everywhere(file, "") if owner is not record]
    name = word if any(word == other for _, other in others) else nearest(word, [other for _, other in others], 0.85)
    return min((path for path, other in others if other == name), key=lambda path: path.count("."), default=None)


def _snake(word: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).replace("-", "_").replace(" ", "_").lower()


def _everywhere(record: Record, path: str) -> Iterator[tuple[str, Key, Record]]:
    for key in record.keys:
        here = child(path, key.name)
        yield here, key, record
        for inner in _records(key.kind):
            yield from _everywhere(inner, here)


def _records(kind: Kind) -> list[Record]:
    match kind:
        case Record():
            return [kind]
        case Many() | Unset():
            return _records(kind.of)
        case Either():
            return _records(kind.structure)
        case Named():
            return []  # its path has a name only the user knows
        case _:
            return []
