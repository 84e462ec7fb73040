"""``fuseg inspect``: what a bundle holds."""

from __future__ import annotations

import json as jsonlib
import shlex
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from ..bundle import Bundle
from ..manifest import Manifest, Output, SensorInput, Statistics, Variant
from .extract import extract as write_out
from .extract import inputs_of
from .options import BundleArgument, JsonOption
from .printing import plural, print_json, print_table, say
from .robustness_table import show_robustness

_LISTED = 5  # entries of a list; --json has all


def inspect(
    bundle: BundleArgument,
    extract: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also write the manifest, the ONNX files and the sample frames, with "
            "their expected labels, into this new folder.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check a bundle; show its inputs, outputs and verification."""
    opened = Bundle.open(bundle)
    manifest = opened.manifest
    written = [] if extract is None else write_out(opened, extract)
    if json:
        about = {
            "bundle": str(bundle),
            "digest": opened.digest,
            "bytes": bundle.stat().st_size,
            "manifest": jsonlib.loads(manifest.dump()),
        }
        if extract is not None:
            about["extracted"] = [str(path) for path in written]
        print_json(about)
        return
    say(f"{manifest.name}  (format {manifest.format}, {manifest.created_by})")
    say(f"sha256 {opened.digest}  {bundle.stat().st_size:,} bytes")
    print_table(("input", ""), _inputs(manifest))
    if manifest.is_program:
        say()
        print_table(("graph", "reads", "writes", "stands in for"), _graphs(manifest))
        for state in manifest.states:
            gap = state.max_gap_ms
            say(
                f"state {state.tensor}: starts at {state.initial:g}, steps with "
                f"{state.steps_with}"
                + ("" if gap is None else f", anew after {gap:g} ms without it")
                + f"; {state.when_skipped} where a stand-in skips it"
            )
    for output in manifest.outputs:
        _show_output(output, manifest)
    for variant in manifest.variants:
        _show_variant(variant, manifest)
    if manifest.robustness is not None:
        say()
        show_robustness(manifest.robustness)
    say(f"\n{plural(len(manifest.samples), 'sample frame')} for fuseg verify")
    for key, value in sorted(manifest.provenance.items()):
        say(f"{key}: {_brief(value)}")
    if extract is not None:
        say(f"\nextracted: {plural(len(written), 'file')} in {extract}")
        if manifest.samples:
            words = ["fuseg", "run", str(bundle), *inputs_of(opened, extract)]
            print(f"label the samples: {shlex.join([*words, '--out', 'labelled'])}")


def _brief(value: object) -> str:
    """A value of the provenance; only the beginning of a long list."""
    if not isinstance(value, tuple):
        return str(value)
    more = f" and {len(value) - _LISTED} more" if len(value) > _LISTED else ""
    return ", ".join(value[:_LISTED]) + more


def _inputs(manifest: Manifest) -> list[tuple[str, str]]:
    rows = []
    for entry in manifest.sensors:
        shape = "x".join(map(str, manifest.tensors[entry.tensor].shape))
        rows.append((entry.name, _frames(entry)))
        if entry.kind == "audio":
            made = "samples" if entry.features is None else "log-mel"
            rows.append(("", f"{made}, tensor {entry.tensor} {shape}"))
            rows.append(("", f"if missing: {entry.missing.words}"))
            continue
        first, last = entry.channel, entry.channel + entry.planes - 1
        planes = f"channel {first}" if first == last else f"channels {first} to {last}"
        size = f"{entry.resize.height}x{entry.resize.width} {entry.resize.filter}"
        tensor = f"tensor {entry.tensor} {shape}, {planes}"
        rows.append(("", f"resized to {size}, {tensor}"))
        rows.append(("", f"if missing: {entry.missing.words}"))
        if entry.statistics is not None:
            rows.append(("", _seen(entry.statistics)))
    for text in manifest.texts:
        shape = "x".join(map(str, manifest.tensors[text.tensor].shape))
        rows.append((text.name, f"text, too long: {text.too_long}"))
        rows.append(("", f"by {text.tokenizer} into tensor {text.tensor} {shape}"))
        given = ", ".join(map(repr, text.defaults)) or "none, it must be given"
        rows.append(("", f"until one is given: {given}"))
    return rows


def _graphs(manifest: Manifest) -> list[tuple[str, ...]]:
    """What each graph reads and writes; what crosses between graphs, by its maker."""
    named = {entry.tensor for entry in (*manifest.inputs, *manifest.outputs)}
    named |= {name for s in manifest.states for name in (s.tensor, s.next)}
    makers = {
        name: graph.name
        for graph in manifest.graphs
        if graph.stands_in_for is None
        for name in graph.writes
    }

    rows = []
    for graph in manifest.graphs:
        cells = [graph.name]
        for tensors in (graph.reads, graph.writes):
            words = [name for name in tensors if name in named]
            crossing = Counter(makers[name] for name in tensors if name not in named)
            for maker, count in crossing.items():
                of = "" if maker == graph.name else f" of {maker}"
                words.append(plural(count, "tensor") + of)
            cells.append(", ".join(words))
        rows.append((*cells, graph.stands_in_for or ""))
    return rows


def _seen(found: Statistics) -> str:
    middle, low, high = (
        "/".join(f"{v:g}" for v in values)
        for values in (found.p50, found.p1, found.p99)
    )
    return (
        f"in {plural(found.frames, 'frame')}: median {middle}, 98 % from {low} to "
        f"{high}, readings {found.valid_share:.1%}"
    )


def _frames(entry: SensorInput) -> str:
    if entry.kind == "color":
        return f"{entry.kind}, {entry.dtype}, {entry.channels}"
    words: list[str] = [entry.kind, entry.dtype]
    if entry.kind == "audio":
        seconds = f"{entry.samples / entry.rate:g} s"
        return ", ".join(
            [*words, f"{entry.rate} Hz", f"{entry.samples} samples, {seconds}"]
        )
    if entry.kind != "plane":
        words.append(f"in {entry.unit}")
    elif entry.planes > 1:
        words.append(f"{entry.planes} planes")
    if entry.invalid:
        words.append("no reading: " + " ".join(map(str, entry.invalid)))
    if entry.clip is not None:
        words.append("clipped to {:g} to {:g}".format(*entry.clip))
    if entry.transform is not None:
        ends = entry.percentiles
        of = "" if ends is None else " of percentiles {:g} to {:g}".format(*ends)
        words.append(entry.transform + of)
    return ", ".join(words)


def _show_output(output: Output, manifest: Manifest) -> None:
    shape = "x".join(map(str, manifest.tensors[output.tensor].shape))
    say(f"\noutput {output.name}: {output.kind} from {output.tensor} {shape}")
    for line in output.words:
        say(line)


def _precision(variant: Variant) -> str:
    known = dict(variant.precision)
    words = [known.pop("kind")]
    words += [f"{key.replace('_', ' ')}: {value}" for key, value in known.items()]
    return "precision " + ", ".join(words)


def _show_variant(variant: Variant, manifest: Manifest) -> None:
    say(f"\nvariant {variant.name}, for {' '.join(variant.targets)}")
    say(_precision(variant))
    for graph in manifest.graphs:
        network = manifest.network(graph, variant)
        say(
            f"graph {graph.name}: {network.file}, "
            f"{manifest.files[network.file].bytes:,} bytes, opset {network.opset}, IR "
            f"{network.ir_version}"
        )
    rows: list[tuple[str, ...]] = [
        (
            f"{check.stage}: {check.output}" if check.output else check.stage,
            check.against,
            str(check.frames),
            f"{check.label_agreement:.6f}",
            f"{check.max_abs_logit_diff:.2g}",
            "" if check.miou is None else f"{check.miou:.4f}",
            "" if check.ignored_share is None else f"{check.ignored_share:.2%}",
        )
        for check in variant.verification
    ]
    numbers = ["frames", "equal labels", "largest difference", "mIoU", "ignored"]
    if not any(row[-1] for row in rows):
        rows, numbers = [row[:-1] for row in rows], numbers[:-1]
    absent = {name for check in variant.verification for name in check.absent}
    if rows:
        print_table(("stage", "against", *numbers), rows, right=numbers)
    if absent:
        say(f"never in the truth: {', '.join(sorted(absent))}")
