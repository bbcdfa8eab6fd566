"""The rules of checks and of the sandbox they run in."""

from collections.abc import Mapping
from typing import Any

from pipeline.config.keypath import child
from pipeline.config.report import Report
from pipeline.config.scalars import show_duration
from pipeline.config.settings import SandboxSettings
from pipeline.environments.dockerfile import inside

GIB = 1 << 30


def check_checks(document: Mapping[str, Any], report: Report) -> None:
    """Report what the checks get wrong."""
    wall_clock = document.get("limits", {}).get("wall_clock")
    names: dict[str, int] = {}
    for index, check in enumerate(document.get("checks", ())):
        if not isinstance(check, dict):
            continue
        key = child("checks", index)
        if check.get("name") in names:
            first = child("checks", names[check["name"]])
            report.refuse("SW213", child(key, "name"), f"`{check['name']}` is the name of {first} too", "rename one")
        elif "name" in check:
            names[check["name"]] = index
        if "{tests}" not in check.get("focus", "{tests}"):
            hint = 'write it like "pytest -q {tests}"'
            report.refuse("SW213", child(key, "focus"), "has no `{tests}`, so it would run the same tests always", hint)
        _report_path(check, key, report)
        _time_limit(child(key, "timeout"), check.get("timeout"), wall_clock, report)


def check_sandbox(document: Mapping[str, Any], report: Report) -> None:
    """Report what the sandbox's settings get wrong."""
    sandbox = document.get("sandbox", {})
    limits = document.get("limits", {})
    _image(sandbox, report)
    if sandbox.get("setup") and "sandbox.setup_timeout" not in report.positions:
        hint = "add `setup_timeout: 10m`: time limit of the setup"
        report.refuse("SW105", "sandbox.setup_timeout", "the required key is missing: there is a `setup`", hint)
    _time_limit("sandbox.setup_timeout", sandbox.get("setup_timeout"), limits.get("wall_clock"), report)
    memory = sandbox.get("memory", SandboxSettings().memory)
    if memory < GIB:
        message = f"{_size(memory)} is less than 1 GiB, and /tmp, the home folder and shared memory are in it"
        report.refuse("SW211", "sandbox.memory", message, "write `memory: 1g` or more")


def _image(sandbox: Mapping[str, Any], report: Report) -> None:
    dockerfile = sandbox.get("dockerfile")
    if dockerfile is None:
        return
    if sandbox.get("image") is not None:
        report.refuse("SW114", "sandbox.dockerfile", "`image` says the same in another way", "keep one of the two")
    if not inside(dockerfile):
        message = f"`{dockerfile}` leads out of the repository"
        report.refuse("SW212", "sandbox.dockerfile", message, "name a committed file by its path from the root")


def _report_path(check: Mapping[str, Any], key: str, report: Report) -> None:
    for command in ("run", "focus"):
        if check.get("report") and command in check and "REPORT" not in check[command]:
            message = "does not mention $REPORT, where the runner looks for the report"
            report.warn("SW214", child(key, command), message, "add it, as in `--junitxml=$REPORT`")


def _time_limit(key: str, seconds: float | None, wall_clock: float | None, report: Report) -> None:
    if seconds is not None and wall_clock is not None and seconds > wall_clock:
        message = f"{show_duration(seconds)} is longer than limits.wall_clock ({show_duration(wall_clock)})"
        report.warn("SW215", key, message, "the run's limit ends it first")


def _size(size: int) -> str:
    return f"{size / GIB:.3g} GiB"
