"""The fields of a ticket, in front matter and in JSON, with the words other tools have for them."""

from collections.abc import Mapping
from typing import Any

from pipeline.config.format import Key, Many, Record, Text

WORD = Text(expand=False, loose=True)
WORDS = Many(WORD, single=True)
SYNONYMS = {"task_id": "id", "description": "body", "success_criteria": "acceptance"}

SCOPE = Record((
    Key("allow", WORDS, "globs of the paths a change may touch", 'allow: ["src/**"]'),
    Key("deny", WORDS, "globs of the paths it may not touch", 'deny: ["migrations/**"]'),
))  # fmt: skip
FIELDS = (
    Key("id", WORD, "the ticket's id, part of the branch's name", "id: fix-rounding"),
    Key("title", WORD, "one line that says what is wanted", "title: Round half to even"),
    Key("acceptance", WORDS, "what must hold when it is done", "acceptance: [...]"),
    Key("scope", SCOPE, "paths allowed and denied", "scope: {deny: [...]}"),
    Key("base", WORD, "branch, tag or commit to start from", "base: main"),
    Key("checks", WORDS, "names of configured checks", "checks: [tests]"),
    Key("labels", WORDS, "free words", "labels: [bug]"),
    Key("deliverables", WORDS, "what is to be delivered", "deliverables: [...]"),
    Key("task_id", WORD, "another word for id", "task_id: fix-rounding"),
    Key("success_criteria", WORDS, "another word for acceptance", "success_criteria: [...]"),
)
FRONT_MATTER = Record(FIELDS)
JSON_TICKET = Record((
    *FIELDS,
    Key("body", WORD, "what is wanted, at length", "body: ..."),
    Key("description", WORD, "another word for body", "description: ..."),
))  # fmt: skip


def without_synonyms(fields: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the fields under our names, and the synonyms that stand beside what they mean."""
    ours = {name: value for name, value in fields.items() if name not in SYNONYMS}
    doubled = []
    for synonym, name in SYNONYMS.items():
        if synonym in fields and name in ours:
            doubled.append(synonym)
        elif synonym in fields:
            ours[name] = fields[synonym]
    return ours, doubled
