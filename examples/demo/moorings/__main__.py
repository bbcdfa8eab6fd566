"""The command: `python -m moorings JOINED --berth METRES --months N`."""

import argparse
from datetime import date

from moorings.statement import statement


def main() -> None:
    """Print one member's statement."""
    parser = argparse.ArgumentParser(prog="moorings", description="Print a member's statement.")
    parser.add_argument("joined", type=date.fromisoformat, help="the day the member joined, YYYY-MM-DD")
    parser.add_argument("--berth", type=float, default=9.5, help="length of the boat in metres")
    parser.add_argument("--months", type=int, default=12, help="how many charges to list")
    arguments = parser.parse_args()
    print(statement(arguments.joined, arguments.berth, arguments.months))


if __name__ == "__main__":
    main()
