"""Export other people's networks as a stranger would, and keep what came of it.

    python tools/foreign/foreign.py --repositories ~/src --out DIR [NAME ...]

Each file in ``networks/`` says which public repository or library a network is from,
and the words of its one ``fuseg export``. The repositories must lie in the folder
given, by name; their commit is kept in the record. None of their code is in fuseg.
Where the authors' weights are not in the repository they are random: the table says
that a network can be exported and its graph is faithful, not how good its labels are.

A record of each goes to ``--out``; `make docs` makes docs/foreign.md of those in
benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MODULE = "fuseg_glue"  # what a stranger would have to write
VARIANT_KEYS = ("name", "in_bundle", "refused", "tensorrt_refused", "label_agreement")


def main() -> None:
    """Export the networks that the command line names, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="files in networks/, without .json")
    parser.add_argument("--repositories", type=Path, default=Path())
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    known = {path.stem: path for path in sorted((HERE / "networks").glob("*.json"))}
    unknown = [name for name in args.names if name not in known]
    if unknown:
        parser.error(f"names must be of {', '.join(known)}, got {', '.join(unknown)}")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.names or known:
        entry = json.loads(known[name].read_text())
        record = export(entry, args.repositories.resolve(), args.precision)
        (args.out / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
        outcome = record.get("error") or f"{record['seconds']} s"
        print(f"{name}: {outcome}", flush=True)


def export(entry: dict[str, Any], repositories: Path, precision: str) -> dict[str, Any]:
    """Export one network, in a process of its own; what came of it."""
    glue: list[str] = entry.get("glue", [])
    record: dict[str, Any] = {
        **{key: entry.get(key) for key in ("title", "repository", "library", "note")},
        "glue": len(glue),
        "weights": "the authors'" if "checkpoint" in entry else "random",
    }
    with tempfile.TemporaryDirectory(prefix="foreign-") as name:
        scratch = Path(name)
        (scratch / f"{MODULE}.py").write_text("\n".join(glue) + "\n")
        folder = scratch
        if entry.get("repository"):
            root = repositories / entry["repository"].split("/")[1]
            folder = root / entry.get("folder", ".")
            record["commit"] = _commit(root)
        for file, values in entry.get("files", {}).items():
            np.save(folder / file, np.array(values))
        words, spec = list(entry["options"]), entry.get("spec")
        said: dict[str, Any] = {}
        if isinstance(spec, str):
            words += ["--spec", str(ROOT / spec)]
            said = json.loads((ROOT / spec).read_text())
        elif spec is not None:
            (scratch / "spec.json").write_text(json.dumps(spec))
            words += ["--spec", str(scratch / "spec.json")]
        shown = [
            word if len(word.split("/")) < 3 else Path(word).name for word in words
        ]
        record["command"] = " ".join(["fuseg export", entry["target"], *shown])
        weights = Path(entry.get("checkpoint", scratch / "weights.pth"))
        if "checkpoint" not in entry:
            arguments = [word for flag, word in pairwise(words) if flag == "--arg"]
            arguments.append(json.dumps(said.get("arguments", {})))
            script = [str(HERE / "random_weights.py"), entry["target"], str(weights)]
            made = _run([*script, *arguments], folder, scratch)
            if made["rc"]:
                return record | {"error": _why(made)}
            record["parameters"] = int(made["stdout"].split()[-1])
        bundle = scratch / "network.fuseg"
        made = _run(
            [
                *("-m", "fuseg", "export", entry["target"], *words),
                *("--checkpoint", str(weights), "--out", str(bundle)),
                *("--precision", precision, "--check-tensorrt", "--json"),
            ],
            folder,
            scratch,
        )
        record |= {key: made[key] for key in ("seconds", "cpu_seconds", "peak_mb")}
        record["machine"] = _machine()
        if made["rc"]:
            return record | {"error": _why(made)}
        return record | _facts(json.loads(made["stdout"]))


def _facts(report: dict[str, Any]) -> dict[str, Any]:
    """What the table shows of an export's report."""
    stages = report["stages"]
    runtime = [s for s in stages if s["stage"] == "runtime"]
    return {
        "exporter": report["exporter"],
        "opset": report["opset"],
        "tail": report["tail"] and report["tail"]["removed"],
        "nodes": {s["stage"]: s["nodes"] for s in stages},
        "onnx_bytes": {s["stage"]: s["bytes"] for s in stages if s not in runtime},
        "frames": stages[0]["frames"],
        "label_agreement": min(s["label_agreement"] for s in stages),
        "max_abs_logit_diff": max(s["max_abs_logit_diff"] for s in stages),
        "variants": [
            {
                **{key: variant[key] for key in VARIANT_KEYS},
                "ms": variant["ms"],
                "layers_in_float": len(variant["float_nodes"]),
                "engine_bytes": (variant["tensorrt"] or {}).get("plan_bytes"),
            }
            for variant in report["variants"]
        ],
        "notes": report["notes"],
        "warnings": report["warnings"],
    }


def _run(words: list[str], folder: Path, scratch: Path) -> dict[str, Any]:
    """Run Python on these words as a user of that folder; time and peak memory too."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    own = env.get("PYTHONPATH")
    env["PYTHONPATH"] = os.pathsep.join([str(scratch), *([own] if own else [])])
    begun = time.monotonic()
    with (scratch / "stdout").open("w+") as out, (scratch / "stderr").open("w+") as err:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=folder, env=env, stdout=out, stderr=err
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        return {
            "rc": process.returncode,
            "stdout": out.read(),
            "stderr": err.read(),
            "seconds": round(time.monotonic() - begun, 1),
            "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
            "peak_mb": round(used.ru_maxrss / 1024),
        }


def _why(made: dict[str, Any]) -> str:
    """The last sentence of a program that failed."""
    if made["rc"] < 0:
        return f"it was killed by signal {-made['rc']}"
    lines = made["stderr"].strip().splitlines()
    last = lines[-1] if lines else "it ended without a word"
    return last.removeprefix("error: ").removeprefix("fuseg.errors.ExportError: ")


def _commit(root: Path) -> str | None:
    words = ["git", "-C", str(root), "rev-parse", "HEAD"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def _machine() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} CPUs"


if __name__ == "__main__":
    main()
