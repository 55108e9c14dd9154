#!/usr/bin/env python3
"""Open X data sets under the options that people's notes use; the work is done by `vla data`.

--list [...]           is  vla data list [...]
--datasets A B [...]   is  vla data download A B [...], with its options: --local-dir D --copy --dry-run …
"""

from __future__ import annotations

import argparse
import sys

from vla_cli.main import main


def arguments(given: list[str]) -> list[str]:
    """The arguments of `vla` that mean the same."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--list", action="store_true", help="list the data sets")
    parser.add_argument("--datasets", nargs="+", metavar="NAME", default=[], help="data sets to fetch")
    options, rest = parser.parse_known_args(given)
    if options.list:
        return ["data", "list", *rest]
    if not options.datasets:
        parser.error("one of --list and --datasets is needed")
    return ["data", "download", *options.datasets, *rest]


if __name__ == "__main__":
    sys.exit(main(arguments(sys.argv[1:])))
