"""What a person reads when a run is over: a table of attempts, the ending, where things are, how to go on."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pipeline.judging.flags import Flag
from pipeline.reporting.archive import ArchivedRun
from pipeline.reporting.wording import columns, duration, money

FLAGS_SHOWN = 4
HEAD = ("STAGE", "ITEM", "ATTEMPT", "RUNG", "MODEL", "OUTCOME", "TIME", "TOKENS", "COST")


def summary(run: ArchivedRun, document: Mapping[str, Any]) -> str:
    """Return the lines that end `stagewright run`; `document` is what `--json` would have printed."""
    rows = [
        (
            stage["stage"],
            attempt["item"] or "-",
            str(attempt["number"]),
            str(attempt["rung"]),
            f"{attempt['vendor']}/{attempt['model']}",
            (attempt["outcome"] or "not ended").replace("_", " "),
            duration(attempt["seconds"] or 0.0),
            f"{attempt['usage']['counted']:,}",
            money(Decimal(attempt["cost"]) if attempt["cost"] is not None else None),
        )
        for stage in document["stages"]
        for attempt in stage["attempts"]
    ]
    return "\n".join([columns(HEAD, rows).rstrip("\n"), "", *_ending(run, document), ""])


def _ending(run: ArchivedRun, document: Mapping[str, Any]) -> list[str]:
    ended = run.account.ended
    reason = f": {ended.reason}" if ended else ""
    usage, cost = document["usage"], document["cost"]
    lines = [f"{document['status'].replace('_', ' ')}{reason}"]
    if ended and ended.config_key:
        lines.append(f"limit    {ended.config_key}" + (f" ({ended.config_line})" if ended.config_line else ""))
    priced = money(Decimal(cost) if cost is not None else None)
    lines.append(f"spent    {usage['counted']:,} of {usage['cap']:,} tokens, {priced}, {duration(document['seconds'])}")
    if document["branch"]:
        lines.append(f"branch   {document['branch']} ({document['commit'][:12]})")
        lines.append(f"look     git -C {run.account.started.repository} show {document['branch']}")
    elif document["patch_path"]:
        lines.append(f"patch    {document['patch_path']}")
    if ended and ended.flags:
        lines.append(f"look at  {_flags(ended.flags)}")
    lines.append(f"report   {document['report_path']}")
    lines.append(f"run      {document['run_id']}  (`stagewright show {document['run_id']}` tells it step by step)")
    if document["receipt"]:
        lines.append(f"receipt  {_receipt(document['receipt'])}")
    if document["resume"]:
        lines.append(f"go on    {document['resume']}")
    return lines


def _flags(flags: Sequence[Flag]) -> str:
    shown = ", ".join(f"{flag.path} ({flag.kind})" for flag in flags[:FLAGS_SHOWN])
    return shown + (f" and {len(flags) - FLAGS_SHOWN} more, see the report" if len(flags) > FLAGS_SHOWN else "")


def _receipt(receipt: Mapping[str, Any]) -> str:
    if receipt["unchanged"]:
        return "your checkout, index, refs and config are as they were"
    return "your repository changed meanwhile: " + "; ".join(receipt["changes"][:3])
