"""Each mistake in a file is answered by one exact line."""
# ruff: noqa: E501 - the printed lines are kept whole, to be compared and searched for

from pathlib import Path

import pytest

from pipeline.config.load import Loaded, load
from tests.config.files import SOUND, changed, loaded, problem_lines, warning_lines

Change = tuple[str, str]
AT_END = "    timeout: 10m\n"

SHAPE: dict[str, tuple[list[Change], list[str]]] = {
    "a missing timeout names the stage": (
        [("    timeout: 20m\n", "")],
        [
            ("SW105 pipeline.yaml:10:3: stages.coder.timeout: the required key is missing; "
            "add `timeout: 20m`: wall clock of one attempt, from its first prompt to its artifact")
        ],
    ),
    "a missing timeout and a misspelt key are found together": (
        [("    timeout: 20m\n", ""), ("    timeout: 120s", "    time_out: 120s")],
        [
            ("SW105 pipeline.yaml:10:3: stages.coder.timeout: the required key is missing; "
            "add `timeout: 20m`: wall clock of one attempt, from its first prompt to its artifact"),
            "SW104 pipeline.yaml:22:5: stages.reviewer.time_out: unknown key; did you mean `timeout`?",
        ],
    ),
    "the words of similar tools are translated": (
        [("    retry_budget: 3", "    max_retries: 3\n    max_tokens: 8000\n    reasoning_effort: high")],
        [
            "SW104 pipeline.yaml:14:5: stages.coder.max_retries: unknown key; did you mean `retry_budget`?",
            "SW104 pipeline.yaml:15:5: stages.coder.max_tokens: unknown key; did you mean `max_output_tokens`?",
            "SW104 pipeline.yaml:16:5: stages.coder.reasoning_effort: unknown key; did you mean `effort`?",
        ],
    ),
    "a key that belongs elsewhere is sent there": (
        [("limits:\n", "on_exhaust: halt\nlimits:\n")],
        ["SW104 pipeline.yaml:1:1: on_exhaust: unknown key; it belongs at `stages.planner.on_exhaust`"],
    ),
    "a key that means nothing is answered by what there is": (
        [("  wall_clock: 2h", "  wall_clock: 2h\n  zzz: 1")],
        [
            ("SW104 pipeline.yaml:4:3: limits.zzz: unknown key; "
            "known here: tokens, cost, wall_clock, work_items, batch")
        ],
    ),
    "a time limit of zero is none": (
        [("timeout: 300s", "timeout: 0")],
        [
            ("SW107 pipeline.yaml:8:5: stages.planner.timeout: `0` is zero, which is no time limit; "
            "write a duration such as 300s")
        ],
    ),
    "a negative time limit is none": (
        [("timeout: 300s", "timeout: -5s")],
        [
            ("SW107 pipeline.yaml:8:5: stages.planner.timeout: `-5s` is negative, which is no time limit; "
            "write a duration such as 300s")
        ],
    ),
    "an infinite time limit is none": (
        [("timeout: 300s", "timeout: .inf")],
        [
            ("SW107 pipeline.yaml:8:5: stages.planner.timeout: `.inf` is infinite, which is no time limit; "
            "write a duration such as 90, 300s, 20m or 2h")
        ],
    ),
    "not-a-number is no time limit": (
        [("timeout: 300s", "timeout: .nan")],
        [
            ("SW106 pipeline.yaml:8:5: stages.planner.timeout: `.nan` is not a number; "
            "write a duration such as 90, 300s, 20m or 2h")
        ],
    ),
    "a word is no time limit": (
        [("timeout: 300s", "timeout: soon")],
        [
            ("SW106 pipeline.yaml:8:5: stages.planner.timeout: `soon` is not a duration; "
            "write a duration such as 90, 300s, 20m or 2h")
        ],
    ),
    "a unit is corrected": (
        [("timeout: 300s", "timeout: 5 minutes")],
        ["SW106 pipeline.yaml:8:5: stages.planner.timeout: `5 minutes` is not a duration; write 5m"],
    ),
    "a key without a value has none": (
        [("timeout: 300s", "timeout:")],
        ["SW105 pipeline.yaml:8:5: stages.planner.timeout: has no value; give it one, or remove the key"],
    ),
    "sexagesimal numbers are refused": (
        [("wall_clock: 2h", "wall_clock: 2:00")],
        [
            ("SW108 pipeline.yaml:3:3: limits.wall_clock: `2:00` is a sexagesimal number to some YAML readers; "
            "quote it, or write a duration such as 20m")
        ],
    ),
    "octal numbers are refused": (
        [("retry_budget: 3", "retry_budget: 010")],
        [
            ("SW108 pipeline.yaml:14:5: stages.coder.retry_budget: `010` is an octal number to some YAML readers; "
            "write 10, or quote it")
        ],
    ),
    "a fraction is no count": (
        [("retry_budget: 3", "retry_budget: 1.5")],
        [
            ("SW106 pipeline.yaml:14:5: stages.coder.retry_budget: `1.5` is not a whole number; "
            "write a number of 0 or more, such as 1_000")
        ],
    ),
    "a number is not a text": (
        [("model: claude-sonnet-5-5", "model: 5")],
        ['SW106 pipeline.yaml:12:5: stages.coder.model: `5` is not text; quote it: "5"'],
    ),
    "a list is not a mapping": (
        [("limits:\n  tokens: 1_500_000\n  wall_clock: 2h", "limits: [1, 2]")],
        ["SW106 pipeline.yaml:1:1: limits: must be a mapping, not a list; write `key: value` lines below it"],
    ),
    "an unknown choice is answered by the nearest": (
        [("timeout: 20m", "timeout: 20m\n    effort: hihg")],
        [
            ("SW106 pipeline.yaml:14:5: stages.coder.effort: "
            "`hihg` is not one of none, minimal, low, medium, high, xhigh, max; did you mean `high`?")
        ],
    ),
    "a silence of no length is no limit": (
        [("timeout: 20m", "timeout: 20m\n    stall: 0s")],
        [
            ("SW107 pipeline.yaml:14:5: stages.coder.stall: `0s` is zero, which is no time limit; "
            "write a duration such as 300s")
        ],
    ),
    "a word of other tools for stall is known": (
        [("timeout: 20m", "timeout: 20m\n    idle_timeout: 5m")],
        ["SW104 pipeline.yaml:14:5: stages.coder.idle_timeout: unknown key; did you mean `stall`?"],
    ),
    "a duplicate key is refused": (
        [("    timeout: 20m", "    timeout: 20m\n    timeout: 30m")],
        [
            ("SW103 pipeline.yaml:14:5: stages.coder.timeout: duplicate key, first at line 13, column 5; "
            "keep one of the two")
        ],
    ),
    "no checks are no checks": (
        [('checks:\n  - name: tests\n    run: "pytest -q --junitxml=$REPORT"\n    report: junit\n' + AT_END, "checks: []\n")],
        ["SW105 pipeline.yaml:25:1: checks: is empty; at least one is needed"],
    ),
    "a stage is switched off in so many words": (
        [("  reviewer:\n    vendor: google\n    model: gemini-3.8-flash\n    timeout: 120s\n    retry_budget: 1\n", "")],
        [
            ("SW105 pipeline.yaml:4:1: stages.reviewer: the required key is missing; "
            "add `reviewer: none`: judges the finished change")
        ],
    ),
    "only debugger and reviewer can be switched off": (
        [("  coder:\n    vendor: anthropic\n    model: claude-sonnet-5-5\n    timeout: 20m\n    retry_budget: 3\n", "  coder: none\n")],
        ["SW106 pipeline.yaml:10:3: stages.coder: must be a mapping, not a single value; write `key: value` lines below it"],
    ),
    "the debugger has no on_exhaust": (
        [("  reviewer:", "    on_exhaust: halt\n  reviewer:")],
        [
            ("SW104 pipeline.yaml:20:5: stages.debugger.on_exhaust: "
            "the Debugger has none: `on_exhaust` of the stage it attached to counts; remove it")
        ],
    ),
    "a literal key is refused and not repeated": (
        [("limits:", "vendors:\n  anthropic: {api_key: my-secret-key}\nlimits:")],
        [
            ("SW111 pipeline.yaml:2:15: vendors.anthropic.api_key: a key must not stand in the file; "
            "remove it, put it into an environment variable and name that with `api_key_env`")
        ],
    ),
    "a key in place of its variable is refused and not repeated": (
        [("limits:", "vendors:\n  google: {api_key_env: AIzaSyA1234567890abcdefghijk}\nlimits:")],
        [
            ("SW111 pipeline.yaml:2:12: vendors.google.api_key_env: a key stands in the file; "
            "remove it, revoke it if it was shared, and name its variable with `api_key_env`")
        ],
    ),
    "a version of the future is refused": (
        [("limits:", "version: 2\nlimits:")],
        ["SW107 pipeline.yaml:1:1: version: 2 is out of range; write 1"],
    ),
}  # fmt: skip

SANDBOX_IMAGE: dict[str, tuple[list[Change], list[str]]] = {
    "an image and a dockerfile": (
        [(AT_END, AT_END + "sandbox: {image: a, dockerfile: Dockerfile}\n")],
        [
            ("SW114 pipeline.yaml:30:21: sandbox.dockerfile: `image` says the same in another way; "
            "keep one of the two")
        ],
    ),
    "a dockerfile outside the repository": (
        [(AT_END, AT_END + "sandbox: {dockerfile: ../Dockerfile}\n")],
        [
            ("SW212 pipeline.yaml:30:11: sandbox.dockerfile: `../Dockerfile` leads out of the repository; "
            "name a committed file by its path from the root")
        ],
    ),
    "a dockerfile by another word": (
        [(AT_END, AT_END + "sandbox: {docker_file: Dockerfile}\n")],
        ["SW104 pipeline.yaml:30:11: sandbox.docker_file: unknown key; did you mean `dockerfile`?"],
    ),
}  # fmt: skip

LATER: dict[str, tuple[list[Change], list[str]]] = {
    "a batch limit": (
        [("wall_clock: 2h", "wall_clock: 2h\n  batch: {tokens: 20_000_000}")],
        ["SW109 pipeline.yaml:4:3: limits.batch: `batch` is not built yet; remove the key"],
    ),
}  # fmt: skip

MEANING: dict[str, tuple[list[Change], list[str]]] = {
    "a fallback of an unknown vendor": (
        [("timeout: 20m", "timeout: 20m\n    fallback: [{vendor: opnai, model: gpt-6.1-sol}]")],
        ["SW201 pipeline.yaml:14:17: stages.coder.fallback.0.vendor: unknown vendor `opnai`; did you mean `openai`?"],
    ),
    "a fallback that cannot take the entry's effort": (
        [("timeout: 20m", "timeout: 20m\n    effort: max\n    fallback: {vendor: google, model: gemini-3.8-flash}")],
        ["SW203 pipeline.yaml:15:15: stages.coder.fallback.0.effort: gemini-3.8-flash does not take effort max; it has low, medium, high (inherited from the stage's entry); write `effort: null` in this rung to take the model's default"],
    ),
    "a fallback that is what it stands in for": (
        [("timeout: 20m", "timeout: 20m\n    fallback: [{vendor: anthropic, model: claude-sonnet-5-5}]")],
        ["SW217 pipeline.yaml:14:36: stages.coder.fallback.0.model: anthropic/claude-sonnet-5-5 is what it stands in for, in stages.coder or before it; name another vendor or model, or remove it"],
    ),
    "a rung that escalates to its own fallback": (
        [
            ("timeout: 20m", "timeout: 20m\n    escalation: {model: claude-opus-5-5}"),
            ("retry_budget: 3", "fallback: [{vendor: anthropic, model: claude-opus-5-5}]\n    retry_budget: 3"),
        ],
        ["SW217 pipeline.yaml:15:36: stages.coder.fallback.0.model: anthropic/claude-opus-5-5 is what it stands in for, in stages.coder.escalation.0 or before it; name another vendor or model, or remove it, or write stages.coder.escalation.0.fallback (`[]` for none)"],
    ),
    "a fallback without a model": (
        [("timeout: 20m", "timeout: 20m\n    fallback: [{vendor: openai}]")],
        ["SW105 pipeline.yaml:14:16: stages.coder.fallback.0.model: the required key is missing; add `model: gpt-6.1-sol`: its model"],
    ),
    "a limit of no calls": (
        [("stages:\n", "vendors: {anthropic: {max_concurrency: 0}}\nstages:\n")],
        ["SW107 pipeline.yaml:4:23: vendors.anthropic.max_concurrency: 0 is out of range; write a number from 1 to 10_000"],
    ),
    "a limit by another word": (
        [("stages:\n", "vendors: {anthropic: {rpm: 50, tpm: 40_000, concurrency: 3}}\nstages:\n")],
        ["SW104 pipeline.yaml:4:23: vendors.anthropic.rpm: unknown key; did you mean `requests_per_minute`?", "SW104 pipeline.yaml:4:32: vendors.anthropic.tpm: unknown key; did you mean `tokens_per_minute`?", "SW104 pipeline.yaml:4:45: vendors.anthropic.concurrency: unknown key; did you mean `max_concurrency`?"],
    ),
    "an unknown vendor": (
        [("vendor: google", "vendor: gogle")],
        ["SW201 pipeline.yaml:21:5: stages.reviewer.vendor: unknown vendor `gogle`; did you mean `google`?"],
    ),
    "a misspelt vendor entry": (
        [("limits:", "vendors: {antropic: {}}\nlimits:")],
        ["SW201 pipeline.yaml:1:11: vendors.antropic: unknown vendor `antropic`; did you mean `anthropic`?"],
    ),
    "dollars for a subscription": (
        [("vendor: google", "vendor: gemini-cli"), ("    timeout: 120s\n", "    timeout: 120s\n    cost: 5\n")],
        [
            ("SW204 pipeline.yaml:22:5: stages.reviewer.model: gemini-cli is paid by subscription, not in dollars, and "
            "stages.reviewer.cost is set; remove stages.reviewer.cost and let limits.tokens bound the run, "
            "or name another vendor")
        ],
    ),
    "a price for a subscription": (
        [("limits:", 'vendors: {codex: {prices: {"*": {input: 0, output: 0}}}}\nlimits:')],
        [
            ("SW104 pipeline.yaml:1:19: vendors.codex.prices: `codex` is paid by subscription: it has no price per "
            "token; remove the key")
        ],
    ),
    "a key for a subscription": (
        [("limits:", "vendors: {claude-code: {api_key_env: ANTHROPIC_API_KEY}}\nlimits:")],
        [
            ("SW104 pipeline.yaml:1:25: vendors.claude-code.api_key_env: the vendor `claude-code` takes only `command` "
            "and `base_url`; its login is that of its program; remove the key")
        ],
    ),
    "a program where there is none": (
        [("limits:", "vendors: {openai: {command: codex}}\nlimits:")],
        [
            ("SW104 pipeline.yaml:1:20: vendors.openai.command: the vendor `openai` has no program to start; "
            "remove the key")
        ],
    ),
    "a model that a program replaces by another": (
        [("vendor: google", "vendor: gemini-cli"), ("model: gemini-3.8-flash", "model: gemini-3.5-flash")],
        [
            ("SW202 pipeline.yaml:22:5: stages.reviewer.model: gemini-cli has no model `gemini-3.5-flash` we know; "
            "it is a model of `google`")
        ],
    ),
    "an unknown model": (
        [("model: claude-sonnet-5-5", "model: claude-sonet-5-5")],
        [
            ("SW202 pipeline.yaml:12:5: stages.coder.model: anthropic has no model `claude-sonet-5-5` we know; "
            "did you mean `claude-sonnet-5-5`? Else declare it under `models:` if it is newer than this version")
        ],
    ),
    "a model of another vendor": (
        [("model: gemini-3.8-flash", "model: claude-opus-5-5")],
        [
            ("SW202 pipeline.yaml:22:5: stages.reviewer.model: google has no model `claude-opus-5-5` we know; "
            "it is a model of `anthropic`")
        ],
    ),
    "an unknown model that another is like": (
        [("limits:", "models: {new: {id: claude-next, like: claude-opsu-5-5}}\nlimits:"), ("model: claude-sonnet-5-5", "model: new")],
        [
            ("SW202 pipeline.yaml:1:33: models.new.like: anthropic has no model `claude-opsu-5-5` we know; "
            "did you mean `claude-opus-5-5`? Else declare it under `models:` if it is newer than this version")
        ],
    ),
    "an effort the model does not have": (
        [("timeout: 120s", "timeout: 120s\n    effort: max")],
        [
            ("SW203 pipeline.yaml:24:5: stages.reviewer.effort: gemini-3.8-flash does not take effort max; "
            "it has low, medium, high; remove effort, or name another value or model")
        ],
    ),
    "an inherited effort the rung's model does not have": (
        [("timeout: 20m", "timeout: 20m\n    effort: max\n    escalation: {vendor: google, model: gemini-3.8-flash}")],
        [
            ("SW203 pipeline.yaml:15:17: stages.coder.escalation.0.effort: gemini-3.8-flash does not take effort max; "
            "it has low, medium, high (inherited from the stage's entry); "
            "write `effort: null` in this rung to take the model's default")
        ],
    ),
    "a temperature the model does not take": (
        [("timeout: 20m", "timeout: 20m\n    temperature: 0.2")],
        [
            ("SW203 pipeline.yaml:14:5: stages.coder.temperature: claude-sonnet-5-5 does not take a temperature; "
            "remove temperature, or name another value or model")
        ],
    ),
    "more output than the model writes": (
        [("timeout: 120s", "timeout: 120s\n    max_output_tokens: 70_000")],
        [
            ("SW203 pipeline.yaml:24:5: stages.reviewer.max_output_tokens: "
            "gemini-3.8-flash writes at most 65_536 tokens a call, 70_000 are asked for; lower max_output_tokens")
        ],
    ),
    "compute above the top": (
        [("timeout: 120s", "timeout: 120s\n    effort: high\n    escalation: {compute: increased}")],
        [
            ("SW203 pipeline.yaml:25:18: stages.reviewer.escalation.0.compute: "
            "gemini-3.8-flash has no effort above high; it has low, medium, high; "
            "name a stronger model in this rung, or start lower")
        ],
    ),
    "a rung's timeout beyond the run's": (
        [("timeout: 20m", "timeout: 20m\n    escalation: [{timeout: 3h}]")],
        [
            ("SW206 pipeline.yaml:14:19: stages.coder.escalation.0.timeout: 3h is longer than limits.wall_clock (2h); "
            "lower it, or raise limits.wall_clock")
        ],
    ),
    "more output than the cap": (
        [("tokens: 1_500_000", "tokens: 300_000"), ("timeout: 20m", "timeout: 20m\n    max_output_tokens: 16_000\n    tokens: 9_000")],
        [
            ("SW206 pipeline.yaml:14:5: stages.coder.max_output_tokens: 16_000 is more than stages.coder.tokens (9_000); "
            "lower it, or raise stages.coder.tokens")
        ],
    ),
    "a share beyond the cap": (
        [("timeout: 20m", "timeout: 20m\n    tokens: 2_000_000")],
        [
            ("SW206 pipeline.yaml:14:5: stages.coder.tokens: "
            "the share 2000000 is more than limits.tokens (1500000); lower it")
        ],
    ),
    "a cost limit without a price": (
        [("limits:", "models: {n: {id: claude-next}}\nlimits:\n  cost: 5"), ("model: claude-sonnet-5-5", "model: n")],
        [
            ("SW204 pipeline.yaml:14:5: stages.coder.model: claude-next has no known price, and limits.cost is set; "
            "add `vendors.anthropic.prices.claude-next: {input: ..., output: ...}`, or remove limits.cost")
        ],
    ),
    "a route to a stage that is off": (
        [
            ("  reviewer:\n    vendor: google\n    model: gemini-3.8-flash\n    timeout: 120s\n    retry_budget: 1\n", "  reviewer: none\n"),
            ("    retry_budget: 3", "    retry_budget: 3"),
            ("  reviewer: none", "    can_route_to: [coder, reviewer]\n  reviewer: none"),
        ],
        [
            ("SW210 pipeline.yaml:20:27: stages.debugger.can_route_to.1: `reviewer` is not configured: it is `none`; "
            "remove it, or configure it")
        ],
    ),
    "routes of a coder": (
        [("timeout: 20m", "timeout: 20m\n    can_route_to: any_stage")],
        [
            ("SW104 pipeline.yaml:14:5: stages.coder.can_route_to: "
            "only the Debugger takes `can_route_to`, not the Coder; remove it")
        ],
    ),
    "escalation under both its names": (
        [("timeout: 20m", "timeout: 20m\n    escalation: {effort: max}\n    on_retry: {effort: max}")],
        [
            ("SW114 pipeline.yaml:15:5: stages.coder.on_retry: "
            "`on_retry` is another word for `escalation`, and both are there; keep one of the two")
        ],
    ),
    "a memory that is too small": (
        [(AT_END, AT_END + "sandbox: {memory: 512m}\n")],
        [
            ("SW211 pipeline.yaml:30:11: sandbox.memory: "
            "0.5 GiB is less than 1 GiB, and /tmp, the home folder and shared memory are in it; "
            "write `memory: 1g` or more")
        ],
    ),
    "a runtime we do not know": (
        [(AT_END, AT_END + "sandbox: {runtime: kata}\n")],
        ["SW106 pipeline.yaml:30:11: sandbox.runtime: `kata` is not one of runc, runsc; write `runc` or `runsc`"],
    ),
    "another word for the runtime": (
        [(AT_END, AT_END + "sandbox: {oci_runtime: runsc}\n")],
        ["SW104 pipeline.yaml:30:11: sandbox.oci_runtime: unknown key; did you mean `runtime`?"],
    ),
    "a project folder out of the repository": (
        [(AT_END, AT_END + "repo: {subdir: ../other}\n")],
        [
            ("SW216 pipeline.yaml:30:8: repo.subdir: '../other' climbs with '..'; write the path out from the "
            "repository's root; write it like `subdir: services/api`")
        ],
    ),
    "a project folder by another word": (
        [(AT_END, AT_END + "repo: {working_directory: api}\n")],
        ["SW104 pipeline.yaml:30:8: repo.working_directory: unknown key; did you mean `subdir`?"],
    ),
    "a setup without a time limit": (
        [(AT_END, AT_END + "sandbox: {setup: pip install -e .}\n")],
        [
            ("SW105 pipeline.yaml:30:1: sandbox.setup_timeout: the required key is missing: there is a `setup`; "
            "add `setup_timeout: 10m`: time limit of the setup")
        ],
    ),
    "a focus that selects nothing": (
        [(AT_END, AT_END + '    focus: "pytest -q --junitxml=$REPORT"\n')],
        [
            ("SW213 pipeline.yaml:30:5: checks.0.focus: has no `{tests}`, so it would run the same tests always; "
            'write it like "pytest -q {tests}"')
        ],
    ),
    "two checks of one name": (
        [(AT_END, AT_END + "  - {name: tests, run: ruff check, timeout: 1m}\n")],
        ["SW213 pipeline.yaml:30:6: checks.1.name: `tests` is the name of checks.0 too; rename one"],
    ),
    "instructions that are not there": (
        [("timeout: 20m", "timeout: 20m\n    instructions: docs/rules.md")],
        [
            ("SW212 pipeline.yaml:14:5: stages.coder.instructions: there is no file `docs/rules.md` beside the config; "
            "name a file of this folder, or write a sentence")
        ],
    ),
    "replies that nobody names": (
        [("vendor: google\n    model: gemini-3.8-flash", "vendor: scripted\n    model: any")],
        [
            ("SW105 pipeline.yaml:1:1: vendors.scripted.replies: the required key is missing: a stage uses `scripted`; "
            "add `vendors: {scripted: {replies: replies.yaml}}`")
        ],
    ),
    "a setting the vendor does not have": (
        [("limits:", "vendors: {google: {replies: a.yaml, api: responses}}\nlimits:")],
        [
            "SW104 pipeline.yaml:1:20: vendors.google.replies: the vendor `google` takes no `replies`; remove the key",
            ("SW212 pipeline.yaml:1:20: vendors.google.replies: there is no file `a.yaml` beside the config; "
            "name a file relative to the config's folder"),
            ("SW104 pipeline.yaml:1:37: vendors.google.api: "
            "`api` is for openai's protocols, google has one; remove the key"),
        ],
    ),
    "a key and none": (
        [("limits:", "vendors: {openai: {api_key: none, api_key_env: MY_KEY}}\nlimits:")],
        [
            ("SW114 pipeline.yaml:1:20: vendors.openai.api_key: "
            "`api_key: none` says there is no key, and `api_key_env` names one; keep one of the two")
        ],
    ),
    "an address with a user in it": (
        [("limits:", 'vendors: {openai: {base_url: "https://127.0.0.1@evil.example/"}}\nlimits:')],
        [
            ("SW106 pipeline.yaml:1:20: vendors.openai.base_url: "
            "is not a plain http:// or https:// address without user, query or fragment; "
            'write "https://host/path"')
        ],
    ),
}  # fmt: skip

WARNINGS: dict[str, tuple[list[Change], list[str]]] = {
    "a small cap": (
        [("tokens: 1_500_000", "tokens: 200_000")],
        [
            ("SW209 pipeline.yaml:2:3: limits.tokens: 200_000 tokens are little: a call reserves its whole prompt, "
            "cached parts too, before it is made; 250_000 or more lets a run use its last tokens")
        ],
    ),
    "a small share": (
        [("timeout: 20m", "timeout: 20m\n    tokens: 249_999")],
        [
            ("SW209 pipeline.yaml:14:5: stages.coder.tokens: 249_999 tokens are little: a call reserves its whole "
            "prompt, cached parts too, before it is made; 250_000 or more lets a run use its last tokens")
        ],
    ),
    "more escalation than retries": (
        [("    retry_budget: 3", "    retry_budget: 1\n    on_retry: [{effort: max}, {effort: xhigh}]")],
        [
            ("SW207 pipeline.yaml:15:5: stages.coder.on_retry: 2 entries for a retry_budget of 1: no retry reaches the last 1; "
            "raise stages.coder.retry_budget, or remove entries")
        ],
    ),
    "a weaker debugger": (
        [("    retry_budget: 3\n  debugger:\n    vendor: anthropic\n    model: claude-opus-5-5", "    retry_budget: 3\n  debugger:\n    vendor: anthropic\n    model: claude-haiku-5-5")],
        [
            ("SW208 pipeline.yaml:17:5: stages.debugger.model: claude-haiku-5-5 is weaker than what it debugs, "
            "stages.planner's last rung; give the Debugger claude-opus-5-5 or better")
        ],
    ),
    "a deprecated model": (
        [("model: claude-sonnet-5-5", "model: claude-sonnet-4-5")],
        [
            ("SW205 pipeline.yaml:12:5: stages.coder.model: claude-sonnet-4-5 is deprecated and retires on 2026-11-30; "
            "use claude-sonnet-5-5")
        ],
    ),
    "a report nobody writes": (
        [("pytest -q --junitxml=$REPORT", "pytest -q")],
        [
            ("SW214 pipeline.yaml:27:5: checks.0.run: does not mention $REPORT, where the runner looks for the report; "
            "add it, as in `--junitxml=$REPORT`")
        ],
    ),
    "a check longer than the run": (
        [(AT_END, "    timeout: 3h\n")],
        [
            ("SW215 pipeline.yaml:29:5: checks.0.timeout: 3h is longer than limits.wall_clock (2h); "
            "the run's limit ends it first")
        ],
    ),
}  # fmt: skip


def test_a_sound_file_has_no_problem_and_no_warning(tmp_path: Path) -> None:
    found = loaded(tmp_path, SOUND)
    assert (problem_lines(found), warning_lines(found)) == ([], [])
    assert found.settings is not None


@pytest.mark.parametrize("name", [*SHAPE, *SANDBOX_IMAGE, *LATER, *MEANING])
def test_a_mistake_is_one_line_that_says_where_and_what_to_type(name: str, tmp_path: Path) -> None:
    changes, lines = {**SHAPE, **SANDBOX_IMAGE, **LATER, **MEANING}[name]
    found = loaded(tmp_path, changed(SOUND, *changes))
    assert problem_lines(found) == lines
    assert found.settings is None


@pytest.mark.parametrize("name", WARNINGS)
def test_a_doubt_is_a_warning_and_does_not_refuse(name: str, tmp_path: Path) -> None:
    changes, lines = WARNINGS[name]
    found = loaded(tmp_path, changed(SOUND, *changes))
    assert (problem_lines(found), warning_lines(found)) == ([], lines)
    assert found.settings is not None


def test_stages_at_the_top_are_sent_below_stages(tmp_path: Path) -> None:
    text = changed(SOUND, ("stages:\n", "")).replace("\n  ", "\n").replace("limits:\ntokens", "limits:\n  tokens")
    lines = problem_lines(loaded(tmp_path, text))
    assert (
        "SW104 pipeline.yaml:4:1: planner: unknown key; it belongs at `stages.planner`: `stages:` is missing above it"
        in lines
    )


def test_an_empty_file_misses_everything(tmp_path: Path) -> None:
    assert [line.split(":")[3].strip() for line in problem_lines(loaded(tmp_path, "# nothing\n"))] == [
        "limits",
        "stages",
        "checks",
    ]


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    lines = problem_lines(loaded_missing(tmp_path))
    assert lines == ["SW101 nowhere.yaml: cannot be read: No such file or directory; name an existing file"]


def loaded_missing(folder: Path) -> Loaded:
    return load(folder / "nowhere.yaml", overrides=(), environ={}, trusted=True, shown="nowhere.yaml")


def test_text_that_is_not_utf8_is_shown_where_it_begins(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"limits:\n  a: \xe9\n")
    found = load(tmp_path / "latin.yaml", overrides=(), environ={}, trusted=True, shown="latin.yaml")
    assert problem_lines(found) == ["SW101 latin.yaml:2:6: is not UTF-8 text; save it as UTF-8"]


def test_control_characters_of_a_file_never_reach_the_terminal(tmp_path: Path) -> None:
    found = loaded(tmp_path, changed(SOUND, ("vendor: google", r'vendor: "a\x1b[31m\nb"')))
    assert all(line.isprintable() for line in problem_lines(found))
    assert problem_lines(found)[0].startswith(
        r"SW201 pipeline.yaml:21:5: stages.reviewer.vendor: unknown vendor `a\x1b[31m\nb`"
    )
