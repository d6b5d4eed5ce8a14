"""Hostile input by the hundred thousand: damaged and malicious files for every reader, with limits.

    python benchmarks/hostile.py --format voc --cases 100000

prints JSON: for each format the cases, how many were accepted and refused, and how many crashed, hung, used
too much memory or raised an error outside the library's own family. The same seed makes the same cases;
``--keep DIR`` writes those that went wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from _measure import print_json

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "fuzz"))

import fuzzing.campaign as limits
from fuzzing import TARGETS
from fuzzing.campaign import campaign


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--format", nargs="+", choices=sorted(TARGETS), default=list(TARGETS))
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=None, help="folder for the cases that went wrong")
    parser.add_argument("--tiny", action="store_true", help="a few hundred cases")
    options = parser.parse_args()
    cases = 300 if options.tiny else options.cases
    outcomes = [
        campaign(name, cases=cases, seed=options.seed, first=options.first, keep=options.keep)
        for name in options.format
    ]
    results = {outcome.format: _shown(asdict(outcome)) for outcome in outcomes}
    limit = {
        "seconds": limits.SECONDS,
        "growth_bytes": limits.MEMORY,
        "address_space_bytes": limits.ADDRESS_SPACE,
    }
    print_json({"limits_per_case": limit, "formats": results})
    return 0 if all(outcome.clean for outcome in outcomes) else 1


def _shown(outcome: dict[str, object]) -> dict[str, object]:
    """The same with findings of one kind as one line."""
    findings = outcome.pop("findings")
    kinds = Counter(str(item["problem"]).split(": ")[0] for item in findings)  # type: ignore[union-attr]
    first = {}
    for item in findings:  # type: ignore[union-attr]
        first.setdefault(str(item["problem"]).split(": ")[0], item)
    return outcome | {"findings": [first[kind] | {"seen": count} for kind, count in kinds.most_common()]}


if __name__ == "__main__":
    sys.exit(main())
