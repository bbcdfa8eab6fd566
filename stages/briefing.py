"""Render a stage's typed input as the text of its first turn.

Whatever people, files, commands or other stages wrote stands between tags that name it as data. A tag carries
a digest of its content, so that no content can close its own.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from pydantic import BaseModel

from stages.artifacts import Failure, Finding, Manifest, Ticket, WorkItem
from stages.contract import CheckSummary, Evidence, Feedback
from stages.excerpt import excerpt

DIFF_SHOWN = 60_000
OUTPUT_SHOWN = 30_000
FILE_SHOWN = 30_000
_DIGEST_SHOWN = 12


def brief(*parts: str) -> str:
    """Join the parts of a first turn, without the empty ones."""
    return "\n\n".join(part for part in parts if part)


def section(name: str, content: str) -> str:
    """Return content between tags that name it as data; nothing when there is none."""
    if not content.strip():
        return ""
    digest = sha256(content.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_SHOWN]
    closing = "" if content.endswith("\n") else "\n"
    return f'<data-{digest} name="{name}">\n{content}{closing}</data-{digest}>'


def project_line(folder: str) -> str:
    """Say which folder is the project; nothing when it is the whole repository."""
    if not folder:
        return ""
    return (
        f"The project is the folder {folder}: commands and checks run in it, and no file outside it may change. Every "
        "path you give or are given is relative to the repository's root, and only a command's own words are not."
    )


def ticket_section(ticket: Ticket) -> str:
    """Return the ticket as data."""
    lines = [f"id: {ticket.id}", f"title: {ticket.title}", "", ticket.body.strip()]
    lines += _listed("acceptance", ticket.acceptance)
    lines += _listed("deliverables", ticket.deliverables)
    lines += _listed("only these paths may change", ticket.scope.allow)
    lines += _listed("these paths may not change", ticket.scope.deny)
    return section("ticket", "\n".join(lines))


def manifest_section(manifest: Manifest | None, accepted: Sequence[str] = ()) -> str:
    """Return the manifest in force as data, and which of its items are accepted already."""
    if manifest is None:
        return ""
    done = section("items accepted already", "\n".join(accepted))
    return brief(section("manifest", _json(manifest)), done)


def item_section(item: WorkItem) -> str:
    """Return a work item as data."""
    return section("work item", _json(item))


def feedback_sections(feedback: Feedback) -> str:
    """Return what earlier attempts taught; a human's word comes first, because it weighs most."""
    failure = failure_text(feedback.failure) if feedback.failure else ""
    return brief(
        section("guidance from a human, which outranks everything else here", "\n\n".join(feedback.guidance)),
        section("corrective brief from the diagnosis", feedback.brief),
        section("why the last attempt ended", failure),
        section("findings of the last review", findings_text(feedback.findings)),
        diff_section("diff of the last attempt", feedback.previous_diff),
    )


def diff_section(name: str, diff: str) -> str:
    """Return a diff as data, its middle cut when it is long."""
    return section(name, excerpt(diff, DIFF_SHOWN))


def failure_text(failure: Failure) -> str:
    """Return a failure's fields, one a line, then its excerpt."""
    fields = {
        "kind": failure.kind,
        "code": failure.code,
        "message": failure.message,
        "location": failure.location,
        "expected": failure.expected,
        "actual": failure.actual,
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    lines += _listed("red tests", failure.tests)
    if failure.excerpt:
        lines += ["excerpt:", excerpt(failure.excerpt, OUTPUT_SHOWN)]
    return "\n".join(lines)


def findings_text(findings: Iterable[Finding]) -> str:
    """Return findings, one a line."""
    return "\n".join(_finding(finding) for finding in findings)


def checks_section(checks: Sequence[CheckSummary]) -> str:
    """Return check results as data."""
    return section("check results", "\n\n".join(_check(check) for check in checks))


def evidence_sections(evidence: Evidence) -> str:
    """Return what the Debugger may know of the exhausted stage: code and output, never anyone's reasoning."""
    files = [section(f"test file {path}", excerpt(text, FILE_SHOWN)) for path, text in evidence.test_files.items()]
    earlier = [
        diff_section(f"code of earlier attempt {number}", diff) for number, diff in enumerate(evidence.earlier_diffs, 1)
    ]
    failures = "\n\n".join(
        f"attempt {number}\n{failure_text(failure)}" for number, failure in enumerate(evidence.failures, 1)
    )
    return brief(
        section("how its attempts ended, oldest first", failures),
        *files,
        section("last output", excerpt(evidence.last_output, OUTPUT_SHOWN)),
        diff_section("last implementation", evidence.last_diff),
        *earlier,
    )


def _check(check: CheckSummary) -> str:
    lines = [f"{check.name}: {'green' if check.green else 'RED'} ({check.outcome})", check.summary]
    return "\n".join(line for line in [*lines, excerpt(check.output, OUTPUT_SHOWN)] if line)


def _finding(finding: Finding) -> str:
    place = ":".join(str(part) for part in (finding.path, finding.line) if part is not None)
    rule = f" ({finding.rule})" if finding.rule else ""
    return f"- {finding.severity} {place or 'in general'}{rule}: {finding.message}"


def _listed(name: str, values: Iterable[str]) -> list[str]:
    lines = [f"- {value}" for value in values]
    return [f"{name}:", *lines] if lines else []


def _json(artifact: BaseModel) -> str:
    return artifact.model_dump_json(indent=1, exclude_defaults=True)
