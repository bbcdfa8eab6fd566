"""What a prepared image carries for the work tree, written in its labels."""

import json
from collections.abc import Mapping, Sequence

CARRIED_LABEL = "stagewright.carried"
CARRIED_FOLDER = "/opt/stagewright/carried"


def carried_label(paths: Sequence[str]) -> str:
    """Return the label's text for paths that setup left in the work tree."""
    return json.dumps(sorted(paths))


def carried_paths(labels: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    """Return (paths, folder to copy them from); an image without the label carries nothing."""
    try:
        paths = json.loads(labels.get(CARRIED_LABEL, "[]"))
    except ValueError:
        paths = []
    known = tuple(path for path in paths if isinstance(path, str)) if isinstance(paths, list) else ()
    return (known, CARRIED_FOLDER) if known else ((), "")
