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
    threads = result["settings"]["threads"]
    versions = result["versions"]
    around = result["pre_post"]
    setting = (
        f"{result['machine']['cpu']}, {threads} thread{'s' if threads > 1 else ''}, "
        f"onnxruntime {versions['onnxruntime']}, torch {versions['torch']} "
        f"([record]({path.relative_to(ROOT)})):"
    )
    lines = [
        setting,
        "",
        "| frames to labels | p50 ms | p90 ms | p99 ms | p50 / fuseg |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, row in {"**fuseg**": result["total_ms"], **result["peers"]}.items():
        if "p50" in row:
            times = " | ".join(f"{row[p]:.2f}" for p in ("p50", "p90", "p99"))
            ratio = row["p50"] / result["total_ms"]["p50"]
            lines.append(f"| {name} | {times} | {ratio:.2f} |")
    rest = (
        f"All but the engine: fuseg {around['fuseg_ms']:.2f} ms, the recipe "
        f"{around['recipe_ms']:.2f} ms ({around['ratio']:.1f} times)."
    )
    return "\n".join([*lines, "", rest])


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
