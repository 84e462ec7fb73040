"""A bundle in the making: its manifest and its members."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

import fuseg
from fuseg import manifest as m

from .dimensions import with_names
from .frames.statistics import measure
from .graphs import NetworkGraphs
from .network.call import CALLS, spelled
from .network.outputs import LAYOUTS, Path
from .network.target import Target
from .npy import as_npy
from .outputs.base import StageResult
from .passes.split import MAIN, Piece, cut_out
from .precision.built_variant import BuiltVariant

__all__ = ["BundleDraft"]

_TOOLS = (np, onnx, onnxruntime, torch)


class BundleDraft:
    """A manifest and its members, added to as an export goes on.

    It holds no time, folder or duration: the same export gives the same bytes.

    Args:
        target: What is exported.
        graphs: Of the network.
        checkpoint_sha256: Of the file of weights.
        adapted: What was changed of the network, a sentence each.
        paths: Of each output in what the network returns; ``()`` is all of it.

    Attributes:
        manifest: So far.
        members: Their bytes, by name.
    """

    def __init__(
        self,
        target: Target,
        graphs: NetworkGraphs,
        *,
        checkpoint_sha256: str,
        adapted: Sequence[str] = (),
        paths: Sequence[Path] = ((),),
    ) -> None:
        states = [s.record for s in graphs.states]
        self._pieces = graphs.pieces
        self._stand_ins = [s.output.name for s in graphs.stand_ins]
        self.members: dict[str, bytes] = {}
        models = cut_out(graphs.network, self._pieces)
        values = {
            value.name: value.type.tensor_type
            for model in models
            for value in (*model.graph.input, *model.graph.output)
        }
        provenance: dict[str, bool | int | float | str | tuple[str, ...]] = {
            "target": target.word,
            "checkpoint_sha256": checkpoint_sha256,
            "exporter": graphs.exporter,
            "simplified": graphs.simplifier,
        }
        if target.weights_key is not None:
            provenance["weights_key"] = target.weights_key
        if target.ignore_weights:
            provenance["ignore_weights"] = target.ignore_weights
        if target.arguments:
            provenance["arguments"] = spelled(target.arguments)
        if target.call.style != CALLS[0]:
            provenance["call"] = target.call.style
        if target.call.constants:
            provenance["constants"] = spelled(target.call.constants)
        if target.call.seed is not None:
            provenance["freeze_random"] = target.call.seed
        if target.own_load:
            provenance["own_load_state_dict"] = True
        first = target.outputs[0]
        if first.layout != LAYOUTS[0]:
            provenance["layout"] = first.layout
        if first.masks is not None:
            provenance["masks"] = first.masks
        if adapted:
            provenance["adapted"] = tuple(adapted)
        taken = tuple(".".join(map(str, path)) for path in paths)
        if any(taken):
            provenance["output"] = taken[0] if len(taken) == 1 else taken
        provenance |= {t.__name__: str(t.__version__) for t in _TOOLS}
        self.manifest = m.Manifest(
            name=target.name,
            created_by=f"fuseg {fuseg.__version__}",
            tensors={
                name: _tensor(kind)
                for name, kind in values.items()
                if name not in [state.next for state in states]
            },
            inputs=target.records,
            graphs=tuple(
                m.Graph(
                    piece.name,
                    reads=piece.reads,
                    writes=piece.writes,
                    networks={"fp32": self._add_network(piece, "fp32", model, {})},
                    stands_in_for=piece.stands_in_for,
                )
                for piece, model in zip(self._pieces, models, strict=True)
            ),
            outputs=tuple(output.record for output in graphs.outputs),
            variants=(
                m.Variant(
                    name="fp32",
                    targets=("any",),
                    precision={"kind": "fp32"},
                    verification=(),
                ),
            ),
            dimensions=target.dimensions,
            states=tuple(states),
            provenance=provenance,
        )
        for given in target.others:
            self.members |= given.members
        for output in graphs.outputs:
            self.members |= output.members

    def add_verification(self, results: Sequence[StageResult]) -> None:
        """What the comparison of the stages found, states apart."""
        names = self._verified
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
                output=self._named(r.output),
            )
            for r in results
            if r.output in names
        )
        (variant,) = self.manifest.variants
        self._change(variants=(replace(variant, verification=found),))

    def add_statistics(self, frames: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        """What these frames are like, for checks of live ones."""
        measured = {
            i.name: replace(i, statistics=measure(i, [a[i.name] for a in frames]))
            for i in m.image_inputs(self.manifest.sensors)
        }
        inputs = tuple(measured.get(i.name, i) for i in self.manifest.inputs)
        self._change(inputs=inputs)

    def add_robustness(self, card: m.Robustness) -> None:
        """What the bundle's labels are worth as sensors fail."""
        self._change(robustness=card)

    def add_tensorrt_rules(self, broken: tuple[str, ...]) -> None:
        """What TensorRT would not take of the float32 network, a sentence each."""
        if broken:
            said = {**self.manifest.provenance, "tensorrt_refuses": broken}
            self._change(provenance=said)

    def add_sample(
        self, frames: Mapping[str, Any], results: Mapping[str, NDArray[Any]]
    ) -> None:
        """One more frame set, and the results that the runtime gives it, by output.

        Args:
            frames: Of each sensor, and maybe texts: samples are of the default ones.
        """
        folder = f"samples/{len(self.manifest.samples)}"
        frames = {entry.name: frames[entry.name] for entry in self.manifest.sensors}
        # No input can be called expected-labels: names are Python names.
        sample = m.Sample(
            inputs={name: f"{folder}/{name}.npy" for name in frames},
            outputs={name: f"{folder}/expected-{name}.npy" for name in results},
        )
        self.members |= {sample.inputs[name]: as_npy(a) for name, a in frames.items()}
        self.members |= {sample.outputs[name]: as_npy(a) for name, a in results.items()}
        self._change(samples=(*self.manifest.samples, sample))

    def add_variants(self, built: Sequence[BuiltVariant]) -> None:
        """These variants beside fp32, in their order of preference, and the names of
        the layers that had to stay in float."""
        (fp32,) = self.manifest.variants
        variants = []
        networks = [dict(graph.networks) for graph in self.manifest.graphs]
        shapes = {name: tensor.shape for name, tensor in self.manifest.tensors.items()}
        for one in built:
            if one.name == fp32.name:
                variants.append(_scored(fp32, one))
                continue
            variant = m.Variant(
                name=one.name,
                targets=one.targets,
                precision=one.precision,
                verification=tuple(self._compared(one)),
            )
            variants.append(variant)
            cut = cut_out(one.model, self._pieces)
            for piece, model, files in zip(self._pieces, cut, networks, strict=True):
                if self.manifest.dimensions:
                    with_names(model, shapes)  # onnx does not infer all of them
                files[one.name] = self._add_network(piece, one.name, model, files)
        in_float = {
            f"float_layers_of_{one.name}": one.mixed_precision.float_nodes
            for one in built
            if one.mixed_precision is not None and one.mixed_precision.float_nodes
        }
        checked = {
            f"tensorrt_check_of_{one.name}": (
                f"{one.tensorrt.builder}: {one.tensorrt.kernels} kernels, "
                f"{one.tensorrt.activation_bytes} bytes of activations"
                if one.tensorrt is not None
                else one.tensorrt_refused
            )
            for one in built
            if one.tensorrt is not None or one.tensorrt_refused is not None
        }
        self._change(
            graphs=tuple(
                replace(graph, networks=files)
                for graph, files in zip(self.manifest.graphs, networks, strict=True)
            ),
            variants=tuple(variants),
            provenance={**self.manifest.provenance, **in_float, **checked},
        )

    @property
    def _verified(self) -> list[str]:
        """The outputs that a verification may be of."""
        return [*(o.name for o in self.manifest.outputs), *self._stand_ins]

    def _named(self, output: str) -> str | None:
        """What a verification says of an output: nothing if there is but one."""
        return output if len(self._verified) > 1 else None

    def _compared(self, built: BuiltVariant) -> Iterator[m.Verification]:
        for index, (name, found) in enumerate(built.comparisons.items()):
            if name in self._verified:
                made = _verification(
                    built,
                    found.agreement,
                    found.max_abs_logit_diff,
                    self._named(name),
                    scored=index == 0,
                )
                yield made if index == 0 else replace(made, miou=_rounded(found.miou))

    def _add_network(
        self,
        piece: Piece,
        variant: str,
        model: onnx.ModelProto,
        others: Mapping[str, m.Network],
    ) -> m.Network:
        """A variant's file, or another variant's if that is the same."""
        data = model.SerializeToString(deterministic=True)
        for other in others.values():
            if self.members[other.file] == data:
                return other
        file = f"{variant}.onnx"
        if piece.name != MAIN:
            file = f"{piece.name}.{file}"
        self.members[file] = data
        return m.Network(file, model.opset_import[0].version, model.ir_version)

    def _change(self, **fields: Any) -> None:
        self.manifest = replace(self.manifest, **fields)


def _tensor(kind: onnx.TypeProto.Tensor) -> m.Tensor:
    dtype: Any = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    sides = tuple(side.dim_param or side.dim_value for side in kind.shape.dim)
    return m.Tensor(sides, dtype=dtype)


def _scored(variant: m.Variant, built: BuiltVariant) -> m.Variant:
    """With its score on the frames that variants are evaluated on, if it is known and
    they are not those of the stages."""
    compared = {v.frames for v in variant.verification if v.miou is not None}
    if built.score is None or built.frames in compared:
        return variant
    own = _verification(built, 1.0, 0.0)
    return replace(variant, verification=(*variant.verification, own))


def _verification(
    built: BuiltVariant,
    agreement: float,
    difference: float,
    output: str | None = None,
    *,
    scored: bool = True,
) -> m.Verification:
    score = built.score if scored else None
    return m.Verification(
        stage=built.name,
        against="fp32",
        frames=built.frames,
        label_agreement=agreement,
        max_abs_logit_diff=float(f"{difference:.3g}"),
        miou=None if score is None else _rounded(score.miou),
        ignored_share=None if score is None else _rounded(score.ignored_share),
        absent=() if score is None else score.absent,
        output=output,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
