"""The options that many commands share, and what they come to."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import UsageError

DATABASE = "state.sqlite"
VARIABLE = "STAGEWRIGHT_DB"


def add_repository_options(parser: argparse.ArgumentParser) -> None:
    """Add --repo, --config and --set."""
    parser.add_argument(
        "--repo", type=Path, metavar="DIR", help="the repository; default: the one of the current folder"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the configuration; default: pipeline.yaml here or in the repository",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="K=V", help="override a value, as in stages.coder.timeout=30m"
    )


def add_state_options(parser: argparse.ArgumentParser) -> None:
    """Add --state-dir and --db."""
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="where runs are kept")
    parser.add_argument("--db", metavar="URL", help="the database; default: a file in the state folder")


def state_dir(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Path:
    """Return the folder that runs are kept in."""
    if arguments.state_dir is not None:
        return Path(arguments.state_dir).expanduser().absolute()
    base = environ.get("XDG_STATE_HOME", "")
    home = Path(base) if Path(base).is_absolute() else Path("~/.local/state").expanduser()
    return home / "stagewright"


def state_location(arguments: argparse.Namespace, environ: Mapping[str, str]) -> str:
    """Return the database as a URL.

    :raises UsageError: it is no SQLite database.
    """
    url = arguments.db or environ.get(VARIABLE)
    if not url:
        return f"sqlite:///{state_dir(arguments, environ) / DATABASE}"
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] != "sqlite":
        shown = f"{scheme}://..." if separator else url
        raise UsageError(f"the database {shown} cannot be used: only sqlite:///FILE is built yet")
    if not rest.strip("/"):
        raise UsageError("a database in memory keeps no run: write sqlite:////path/to/file")
    return str(url)
