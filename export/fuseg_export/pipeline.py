"""A trained checkpoint becomes a verified bundle: the whole road, in reading order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor

from fuseg import bundle
from fuseg.errors import BundleError, ExportError
from fuseg.manifest import Manifest
from fuseg.segmenter import Segmenter, load

from . import verify
from .bundle_draft import Contents, first_contents
from .errors import cause
from .frames import samples
from .frames.selection import gather
from .network.checkpoint import load_checkpoint
from .network.target import Target, resolve, tensor_shapes
from .outputs import OneOutput, choose, require_planes
from .passes.cut_tail import Tail, cut_tail, find_tail
from .passes.simplify import simplify
from .passes.tidy import count_nodes
from .precision.fp32_only import score_float32
from .precision.variants import FP32, Made, Precision, make_variants
from .reference import at_size, preprocess
from .report.pictures import Shown
from .to_onnx import to_onnx
from .write_bundle import publish, require_distinct, require_writable, usable_labels

__all__ = ["ExportReport", "Stage", "export_bundle"]

SAMPLES = 2  # frames that travel in the bundle


@dataclass(frozen=True)
class Stage:
    """One form of the network, and how it compares with the one before.

    ``nodes`` and ``bytes`` are of its graph; of the runtime the finished bundle's.
    """

    nodes: int
    bytes: int
    result: verify.Result


@dataclass(frozen=True)
class ExportReport:
    """What an export made.

    Attributes:
        bundle: The file.
        digest: Its sha256, in hex.
        bytes: Its size.
        stages: In the order they were made.
        tail: What was cut off the graph.
        opset: Of the ONNX in the bundle.
        exporter: "torchscript" or "dynamo".
        notes: What was adapted or chosen without being asked, a sentence each.
        warnings: What the user should know before relying on it, a sentence each.
        variants: fp32, what was made of it in other precisions, what was refused.
        shown: Frames for a report.
        contents: The bundle's manifest.
    """

    bundle: Path
    digest: str
    bytes: int
    stages: tuple[Stage, ...]
    tail: Tail
    opset: int
    exporter: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    variants: tuple[Made, ...]
    shown: tuple[Shown, ...]
    manifest: Manifest


def export_bundle(
    target: str,
    checkpoint: Path,
    out: Path,
    *,
    inputs: Sequence[str] = (),
    stacks: Sequence[str] = (),
    output: str | None = None,
    classes: str | None = None,
    spec: Path | None = None,
    frames: Mapping[str, str] | None = None,
    truth: str | None = None,
    truth_map: Path | None = None,
    files: samples.FileOptions = samples.FileOptions(),  # noqa: B008 - it is frozen
    opset: int = 17,
    precision: Precision = FP32,
    progress: Callable[[str], None] = lambda _: None,
) -> ExportReport:
    """Make a bundle from a trained checkpoint and prove that it labels alike.

    Each form of the network is compared with the one before on paired frames, the
    finished bundle, run by fuseg, with the torch network. Nothing is written unless
    all agree. The same checkpoint, tools and CPU give the same bytes.

    Args:
        target, inputs, stacks, classes, spec: See `target.resolve`.
        checkpoint: See `checkpoint.load_checkpoint`.
        out: The file to make or to replace.
        output: See `outputs.choose`.
        frames: Sources by input name, see `samples.Paired`; rendered rooms if
            omitted. Stages are compared on the first 16.
        truth: Source of the true labels of ``frames``, that fp32 and the variants are
            scored on: all of them.
        truth_map: What the ids in these labels mean, see
            `fuseg.dataset.label_ids.TruthReader`.
        files: How frames and label maps are read and paired.
        opset: See `to_onnx.to_onnx`.
        precision: Which variants to make, of which frames, and what they may lose.
        progress: Called with what is about to be done.

    Raises:
        FusegError: In one sentence, what is wrong; see `fuseg.errors`. What was at
            ``out`` before is still there.
    """
    require_writable(out)
    require_distinct({"--out": out}, {"--checkpoint": checkpoint})
    with _one_thread():
        progress("loading the network and its weights")
        chosen = resolve(
            target, inputs=inputs, stacks=stacks, classes=classes, spec=spec
        )
        loaded = load_checkpoint(chosen.network, checkpoint)

        progress("taking frames to verify on")
        given, frame_notes, doubts = gather(
            chosen, frames, truth, precision.calibration, files
        )
        example = _example(chosen, given.compared[0])
        network, key_note = _with_one_output(chosen, example, output)

        progress("exporting to ONNX")
        exported = to_onnx(network, example, opset)
        progress("simplifying the graph")
        plain = {name: tensor.numpy() for name, tensor in example.items()}
        simplified, why_not = simplify(exported.model, plain)
        cut, tail = cut_tail(simplified)
        _require_bounded(cut)
        graphs = {"onnx": exported.model}
        if why_not is None:
            graphs["simplified"] = simplified
        if tail.removed:
            graphs["cut"] = cut

        adapted = (*chosen.adapted, *loaded.notes, *key_note)
        provenance: dict[str, str | tuple[str, ...]] = {
            "target": chosen.word,
            "checkpoint_sha256": loaded.sha256,
            "exporter": exported.exporter,
            "simplified": "no" if why_not else f"onnxsim {version('onnxsim')}",
        }
        if adapted:
            provenance["adapted"] = adapted
        if network.key is not None:
            provenance["output"] = str(network.key)
        contents = first_contents(chosen, cut, tail, provenance)
        with tempfile.TemporaryDirectory(prefix="fuseg-") as folder:
            draft = Path(folder, "draft.fuseg")
            own = bundle.write(draft, contents.manifest, contents.members)
            segmenter = load(draft, backend="onnxruntime", threads=1, trust=own)
            given = given.labelled(contents.manifest, truth_map)
            progress(f"comparing every stage on {len(given.compared)} frames")
            results = _compare(segmenter, network, graphs, given.compared)
            contents = _complete(contents, segmenter, given.compared, results)
        if frames or chosen.is_reference:  # else they are not this network's sensors
            arrays = [frame.arrays for frame in given.compared]
            contents = contents.with_statistics(arrays)
        if precision.kinds == FP32.kinds:
            variants = score_float32(contents.manifest, cut, tail, given, progress)
        else:
            variants = make_variants(
                precision, chosen, contents.manifest, cut, tail, given, progress
            )
        kept = [v for v in variants.made if v.refused is None]
        contents = contents.with_variants(kept)
        progress(f"writing {out}")
        digest, untrusted = publish(contents, out)

    size = out.stat().st_size
    sizes = [(count_nodes(g), g.ByteSize()) for g in graphs.values()]
    sizes.append((count_nodes(cut), size))
    return ExportReport(
        bundle=out,
        digest=digest,
        bytes=size,
        stages=tuple(Stage(*s, r) for s, r in zip(sizes, results, strict=True)),
        tail=tail,
        opset=exported.opset,
        exporter=exported.exporter,
        notes=(*adapted, *chosen.notes, *frame_notes),
        warnings=(
            *exported.warnings,
            *([why_not] if why_not else []),
            *([tail.kept] if tail.kept else []),
            *doubts,
            *variants.warnings,
            *untrusted,
        ),
        variants=variants.made,
        shown=variants.shown,
        manifest=contents.manifest,
    )


def _require_bounded(model: onnx.ModelProto) -> None:
    """Refuse now what no device would load."""
    data = memoryview(model.SerializeToString())
    try:
        bundle.require_network(data, model.opset_import[0].version, model.ir_version)
    except BundleError as err:
        raise ExportError(
            f"the network cannot be put into a bundle: {err} Change its forward, so "
            "that the graph has other operators."
        ) from err


def _example(target: Target, frame: samples.Frame) -> dict[str, Tensor]:
    tensors = preprocess(target.inputs, frame.arrays)
    return {
        name: torch.from_numpy(tensors[name].astype(np.float32))
        for name in tensor_shapes(target.inputs)
    }


def _with_one_output(
    target: Target, example: Mapping[str, Tensor], word: str | None
) -> tuple[OneOutput, list[str]]:
    """The network as a graph needs it, tried: one output, the same every time."""
    given = ", ".join(f"{name} {tuple(t.shape)}" for name, t in example.items())
    try:
        with torch.inference_mode():
            returned = target.network(*example.values())
            again = target.network(*example.values())
    except Exception as err:  # foreign code may raise anything
        raise ExportError(
            f"the network's forward failed on {given}: {cause(err)}."
        ) from err
    key, note = choose(returned, word)
    one, two = (r if key is None else r[key] for r in (returned, again))
    require_planes(one, tensor_shapes(target.inputs))
    if not one.isfinite().all():
        raise ExportError(
            "the network gives scores that are NaN or infinite: look at its weights, "
            "and at the inputs' scale, mean and std."
        )
    if not torch.equal(one, two):
        raise ExportError(
            "the network gives two results for one input, so no graph can be verified "
            "against it: draw random numbers once, when it is built."
        )
    return OneOutput(target.network, key), [note] if note else []


def _compare(
    segmenter: Segmenter,
    network: OneOutput,
    graphs: Mapping[str, onnx.ModelProto],
    frames: samples.Frames,
) -> list[verify.Result]:
    # onnxsim may have dropped a softmax that an argmax follows.
    tails = [find_tail(graph)[1] for graph in graphs.values()]
    tail = max(tails, key=lambda tail: len(tail.removed))
    names = list(tensor_shapes(segmenter.manifest.inputs))
    programs = {"torch": verify.torch_program(network, names, tail)}
    for stage, graph in graphs.items():
        programs[stage] = verify.onnx_program(graph, tail)

    def cases() -> Iterator[verify.Case]:
        for number in range(len(frames)):
            frame = frames[number]
            truth = frame.truth
            yield verify.Case(
                segmenter.preprocess(**frame.arrays),
                usable_labels(segmenter, frame.arrays, tail.size),
                None if truth is None else at_size(truth, tail.size),
            )

    (output,) = segmenter.manifest.outputs
    classes = [c.name for c in output.classes]
    return verify.compare(cases(), programs, classes=classes, ignore=output.ignore)


def _complete(
    contents: Contents,
    segmenter: Segmenter,
    frames: samples.Frames,
    results: Sequence[verify.Result],
) -> Contents:
    contents = contents.verified(results)
    for number in range(min(len(frames), SAMPLES)):
        arrays = frames[number].arrays
        labels = usable_labels(segmenter, arrays)
        contents = contents.with_sample(arrays, labels)
    return contents


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread: sums in one order, so that numbers can be repeated."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
