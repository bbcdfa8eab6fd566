"""Print the JSON Schema of pipeline.yaml."""

import argparse
import json
import sys

from pipeline.config.json_schema import json_schema
from pipeline.config.keys import FILE


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the schema is good for; there are no options."""
    parser.epilog = "Save it beside pipeline.yaml and name it there for editors: # yaml-language-server: $schema=FILE"


def run(_arguments: argparse.Namespace) -> int:
    """Print the schema."""
    sys.stdout.write(json.dumps(json_schema(FILE, "pipeline.yaml of stagewright"), indent=2, ensure_ascii=False) + "\n")
    return 0
