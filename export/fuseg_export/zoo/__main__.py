"""Train, export and measure reference models row by row; finished ones are kept."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from fuseg.errors import ArgumentError

from ..models.closest import closest
from .rows import ROWS
from .run import finished
from .workers import run_all


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m fuseg_export.zoo", description=__doc__
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="all, if none is named")
    parser.add_argument("--work", type=Path, default=Path("out/zoo"))
    parser.add_argument("--out", type=Path, help="file for the records of all rows")
    parser.add_argument("--processes", type=int, default=2, help="of one thread each")
    args = parser.parse_args()
    try:
        for name in args.rows:
            closest("a row", name, [*ROWS])
    except ArgumentError as error:
        parser.error(str(error))
    wanted = [ROWS[name] for name in args.rows or ROWS]
    failed = dict(run_all(wanted, args.work, args.processes))
    records = [finished(row, ROWS, args.work) for row in ROWS.values()]
    if args.out is not None and None not in records:
        args.out.write_text(json.dumps({"rows": records}, indent=1) + "\n")
    elif args.out is not None:
        missing = [n for n, r in zip(ROWS, records, strict=True) if r is None]
        print(f"{args.out} is not written: {', '.join(missing)} are to be run.")
    for name, why in failed.items():
        print(f"{name} failed: {why}", file=sys.stderr)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
