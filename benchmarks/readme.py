"""Write the README's table of numbers from a committed result of ``fuseg bench``.

python benchmarks/readme.py            rewrites README.md
python benchmarks/readme.py --check    exits 1 if README.md is not what it would write
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "0.1.0"
BEGIN = "<!-- numbers: made by `make readme` from benchmarks/results -->\n"
END = "<!-- end of numbers -->"


def table(path: Path) -> str:
    result = json.loads(path.read_text())
    rows = {"**fuseg**": result["total_ms"], **result["peers"]}
    machine = result["machine"]
    lines = [
        f"{machine['cpu']}, {result['threads']} thread(s), "
        f"onnxruntime {machine['onnxruntime']}; [{path.name}]"
        f"({path.relative_to(ROOT)})",
        "",
        "| | p50 ms | p90 ms | p99 ms | p50 / fuseg |",
        "|---|---:|---:|---:|---:|",
    ]
    ours = result["total_ms"]["p50"]
    for name, row in rows.items():
        lines.append(
            f"| {name} | {row['p50']:.2f} | {row['p90']:.2f} | {row['p99']:.2f} "
            f"| {row['p50'] / ours:.2f}x |"
        )
    return "\n".join(lines)


def main() -> None:
    readme = ROOT / "README.md"
    before = readme.read_text()
    tables = "\n\n".join(map(table, sorted(RESULTS.glob("bench--*.json"))))
    section = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    after = section.sub(lambda _: f"{BEGIN}\n{tables}\n\n{END}", before)
    if sys.argv[1:] == ["--check"]:
        sys.exit(after != before and "README.md is out of date: make readme")
    readme.write_text(after)


if __name__ == "__main__":
    main()
