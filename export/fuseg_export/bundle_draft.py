"""What goes into a bundle: the manifest and the members."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

import fuseg
from fuseg import manifest as m
from fuseg.errors import ArgumentError

from .frames.statistics import measure
from .network.spec import default_classes
from .network.target import Target
from .passes.cut_tail import Tail
from .precision.variants import Made
from .verify import Result

__all__ = ["Contents", "first_contents"]

_NETWORK = "fp32.onnx"
_TOOLS = (np, onnx, onnxruntime, torch)


@dataclass(frozen=True)
class Contents:
    """A manifest and its members. No time, folder or duration is in them."""

    manifest: m.Manifest
    members: Mapping[str, bytes]

    def verified(self, results: Sequence[Result]) -> Contents:
        """The same with what the verification found."""
        found = tuple(
            m.Verification(
                stage=r.stage,
                against=r.against,
                frames=r.frames,
                label_agreement=r.label_agreement,
                max_abs_logit_diff=float(f"{r.max_abs_logit_diff:.3g}"),
                miou=_rounded(r.miou),
                ignored_share=_rounded(r.ignored_share),
                absent=r.absent,
            )
            for r in results
        )
        (variant,) = self.manifest.variants
        variants = (replace(variant, verification=found),)
        return replace(self, manifest=replace(self.manifest, variants=variants))

    def with_statistics(self, frames: Sequence[Mapping[str, NDArray[Any]]]) -> Contents:
        """The same with what these frames are like, for checks of live ones."""
        inputs = tuple(
            replace(i, statistics=measure(i, [arrays[i.name] for arrays in frames]))
            for i in self.manifest.inputs
        )
        return replace(self, manifest=replace(self.manifest, inputs=inputs))

    def with_variants(self, made: Sequence[Made]) -> Contents:
        """The same with these variants beside fp32, in their order of preference, and
        the names of the layers that had to stay in float."""
        (full,) = self.manifest.variants
        variants, members = [], {}
        for one in made:
            if one.name == full.name:
                variants.append(_scored(full, one))
                continue
            variants.append(
                m.Variant(
                    name=one.name,
                    file=f"{one.name}.onnx",
                    opset=one.model.opset_import[0].version,
                    ir_version=one.model.ir_version,
                    targets=one.targets,
                    precision=one.precision,
                    verification=(_judged(one),),
                )
            )
            network = one.model.SerializeToString(deterministic=True)
            members[f"{one.name}.onnx"] = network
        kept = {
            f"float_layers_of_{one.name}": one.repair.kept
            for one in made
            if one.repair is not None and one.repair.kept
        }
        manifest = replace(
            self.manifest,
            variants=tuple(variants),
            provenance={**self.manifest.provenance, **kept},
        )
        return Contents(manifest, {**self.members, **members})

    def with_sample(
        self, frames: Mapping[str, NDArray[Any]], labels: NDArray[np.uint8]
    ) -> Contents:
        """The same with one more moment, and the labels the runtime gives it."""
        folder = f"samples/{len(self.manifest.samples)}"
        # No input can be called expected-labels: names are Python names.
        sample = m.Sample(
            {name: f"{folder}/{name}.npy" for name in frames},
            f"{folder}/expected-labels.npy",
        )
        members = {sample.frames[name]: _npy(a) for name, a in frames.items()}
        members[sample.labels] = _npy(labels)
        manifest = replace(self.manifest, samples=(*self.manifest.samples, sample))
        return Contents(manifest, {**self.members, **members})


def first_contents(
    target: Target,
    model: onnx.ModelProto,
    tail: Tail,
    provenance: Mapping[str, str | tuple[str, ...]],
) -> Contents:
    """A bundle's contents before it is verified.

    Args:
        model: As the runtime is to run it: one output, the scores.
        provenance: What is known beside the versions of `_TOOLS`.

    Raises:
        ArgumentError: The target's classes are not as many as the model tells apart.
    """
    (scores,) = model.graph.output
    shape = tuple(d.dim_value for d in scores.type.tensor_type.shape.dim)
    output = m.Output(
        name="labels",
        tensor=m.OutputTensor(scores.name, shape=shape),
        upsample=m.Upsample(align_corners=tail.align_corners),
        ignore=target.ignore,
        classes=_classes(target, shape[1]),
        tail=m.Tail(tail.removed, tail.size),
    )
    variant = m.Variant(
        name="fp32",
        file=_NETWORK,
        opset=model.opset_import[0].version,
        ir_version=model.ir_version,
        targets=("any",),
        precision={"kind": "fp32"},
        verification=(),
    )
    manifest = m.Manifest(
        name=target.name,
        created_by=f"fuseg {fuseg.__version__}",
        inputs=target.inputs,
        outputs=(output,),
        variants=(variant,),
        provenance={**provenance, **{t.__name__: str(t.__version__) for t in _TOOLS}},
    )
    return Contents(manifest, {_NETWORK: model.SerializeToString(deterministic=True)})


def _scored(variant: m.Variant, made: Made) -> m.Variant:
    """With its score on the frames that the others are judged on, if it is known and
    they are not those of the stages."""
    compared = {v.frames for v in variant.verification if v.miou is not None}
    if made.score is None or made.frames in compared:
        return variant
    own = _verification(made, agreement=1.0, difference=0.0)
    return replace(variant, verification=(*variant.verification, own))


def _judged(made: Made) -> m.Verification:
    verdict = made.verdict
    assert verdict is not None, "every variant but fp32 is judged"
    return _verification(made, verdict.agreement, verdict.max_abs_logit_diff)


def _verification(made: Made, agreement: float, difference: float) -> m.Verification:
    score = made.score
    return m.Verification(
        stage=made.name,
        against="fp32",
        frames=made.frames,
        label_agreement=agreement,
        max_abs_logit_diff=float(f"{difference:.3g}"),
        miou=None if score is None else _rounded(score.miou),
        ignored_share=None if score is None else _rounded(score.ignored_share),
        absent=() if score is None else score.absent,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _classes(target: Target, channels: int) -> tuple[m.Class, ...]:
    count = 2 if channels == 1 else channels
    classes = target.classes or default_classes(count)
    if len(classes) != count:
        raise ArgumentError(
            f"--classes must name the {count} classes that the network tells apart, "
            f"got {len(classes)}."
        )
    return classes


def _npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()
