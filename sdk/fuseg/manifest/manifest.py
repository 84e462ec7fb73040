"""The manifest as a whole: its parts fit one another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import ManifestError
from .graphs import Graph, Network, State, require_program, runnable
from .inputs import (
    BaseImageInput,
    Input,
    SensorInput,
    TextInput,
    image_inputs,
    input_shapes,
)
from .json_text import read_json
from .outputs import (
    Class,
    Output,
    SegmentationOutput,
    prompt_classes,
    tensors_of,
)
from .robustness import Robustness
from .schema import Record, dump, require, require_unique, spell
from .tensors import Dimension, Tensor
from .texts import require_output_of_texts, require_texts
from .upgrade import upgrade
from .variants import File, Sample, Variant

__all__ = ["FORMAT", "Manifest"]

FORMAT = 2


@dataclass(frozen=True)
class Manifest(Record):
    """Everything about a bundle but its weights.

    A bundle is a small program: inputs fill tensors, graphs compute others, and outputs
    turn those into results.

    Attributes:
        format: The version of this format: 2. Format 1 is read, too.
        name: The name of the bundle.
        created_by: The program that wrote it, and its version.
        tensors: By name, what inputs fill and graphs read and write.
        inputs: The sensors, and texts. Together they fill every channel of every tensor
            that no graph writes, once.
        graphs: The networks, in running order.
        outputs: What is made of the tensors.
        variants: The precisions of the graphs, in order of preference.
        dimensions: By name, sizes of tensors that may change while the bundle runs.
        states: Tensors that are handed on from frame to frame.
        samples: Frame sets, and the results they must give.
        robustness: How much of the mIoU stays as sensors fail, by the fp32 variant.
        provenance: What the bundle was made of, and how; for people.
        files: By member name, exactly the files that the other parts name; empty until
            the bundle is written.
    """

    format: int = field(default=FORMAT, kw_only=True)
    name: str
    created_by: str
    tensors: dict[str, Tensor]
    inputs: tuple[Input, ...]
    graphs: tuple[Graph, ...]
    outputs: tuple[Output, ...]
    variants: tuple[Variant, ...]
    dimensions: dict[str, Dimension] = field(default_factory=dict)
    states: tuple[State, ...] = ()
    samples: tuple[Sample, ...] = ()
    robustness: Robustness | None = None
    provenance: dict[str, bool | int | float | str | tuple[str, ...]] = field(
        default_factory=dict
    )
    files: dict[str, File] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | bytes) -> Manifest:
        """Read a manifest from JSON.

        Raises:
            ManifestError: it is not JSON, has unknown, missing or repeated keys, a
                value that is not allowed, or was written for a newer format. The
                sentence starts with the path of the value.
        """
        value = read_json(text)
        require(isinstance(value, dict), "a manifest must be a JSON object.")
        require("format" in value, f"format is missing: it must be {FORMAT} or 1.")
        _require_format(value["format"])
        return cls.from_json(upgrade(value) if value["format"] == 1 else value)

    def dump(self) -> str:
        """Write it as JSON: the same text for equal manifests, ``parse`` reads it."""
        return json.dumps(dump(self), indent=1, allow_nan=False) + "\n"

    @property
    def full(self) -> Variant | None:
        """The float32 variant, which the others and the samples are judged by."""
        return next((v for v in self.variants if v.name == "fp32"), None)

    @property
    def is_program(self) -> bool:
        """Whether it has more than one graph, a state, or a dimension."""
        return len(self.graphs) > 1 or bool(self.states) or bool(self.dimensions)

    @property
    def main_graphs(self) -> tuple[Graph, ...]:
        """The graphs that run when no input is missing: all but the stand-ins."""
        return tuple(g for g in self.graphs if g.stands_in_for is None)

    @property
    def sensors(self) -> tuple[SensorInput, ...]:
        """The inputs that give frames."""
        return tuple(i for i in self.inputs if not isinstance(i, TextInput))

    @property
    def texts(self) -> tuple[TextInput, ...]:
        """The inputs that are settings."""
        return tuple(i for i in self.inputs if isinstance(i, TextInput))

    def shapes(
        self, size: Literal["min", "typical", "max"]
    ) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor at this size of the dimensions."""
        sizes = {name: getattr(entry, size) for name, entry in self.dimensions.items()}
        return {name: tensor.sized(sizes) for name, tensor in self.tensors.items()}

    def shapes_that_follow(
        self, given: Mapping[str, tuple[int, ...]]
    ) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor with a dimension, where inputs have these shapes."""
        sizes = {
            side: size
            for name, shape in given.items()
            for side, size in zip(self.tensors[name].shape, shape, strict=True)
            if isinstance(side, str)
        }
        tensors = self.tensors.items()
        return {n: tensor.sized(sizes) for n, tensor in tensors if tensor.dimensions}

    def classes_of(self, output: SegmentationOutput) -> tuple[Class, ...]:
        """The classes of labels; where they are texts, of the default ones."""
        for text in self.texts:
            if text.name == output.classes_from:
                return prompt_classes(text.defaults)
        return output.classes

    @property
    def label_outputs(self) -> tuple[SegmentationOutput, ...]:
        """The outputs that give labels; of the first one are a result's ``labels``."""
        return tuple(o for o in self.outputs if isinstance(o, SegmentationOutput))

    @property
    def own_size(self) -> tuple[int, int]:
        """(H, W) of results that lie over no camera's frame."""
        for output in self.label_outputs:
            return output.tail.size
        for entry in image_inputs(self.sensors):
            return entry.resize.height, entry.resize.width
        return 1, 1

    def network(self, graph: Graph, variant: Variant) -> Network:
        """The ONNX file of a graph in a variant: its fp32 if it has no other."""
        return graph.networks.get(variant.name) or graph.networks["fp32"]

    def precision_of(self, graph: Graph, variant: Variant) -> Variant:
        """The variant whose file a graph runs in a variant of the program."""
        if variant.name in graph.networks or self.full is None:
            return variant
        return self.full

    def members(self) -> tuple[str, ...]:
        """Name, sorted and once each, every member that its parts need."""
        names = {n.file for graph in self.graphs for n in graph.networks.values()}
        for entry in (*self.inputs, *self.outputs):
            names |= {*getattr(entry, "members", ())}
        for sample in self.samples:
            names |= {*sample.inputs.values(), *sample.outputs.values()}
        return tuple(sorted(names))

    def _check(self) -> None:
        _require_format(self.format, written=True)
        for key in ("inputs", "graphs", "outputs", "variants"):
            require(bool(getattr(self, key)), f"{key} must not be empty.")
        for key in ("inputs", "outputs", "variants"):
            require_unique(key, [entry.name for entry in getattr(self, key)])
        self._check_inputs()
        require_texts(
            self.inputs, self.tensors, self.dimensions, sampled=bool(self.samples)
        )
        largest = self.shapes("max")
        for index, output in enumerate(self.outputs):
            for key, name in tensors_of(output).items():
                require(
                    name in self.tensors,
                    f"outputs[{index}].{key} must be one of tensors, got "
                    f"{name[:80]!r}.",
                )
            try:
                dtype = self.tensors[output.tensor].dtype
                output.require_fits(dtype, largest[output.tensor])
                require_output_of_texts(
                    output, self.inputs, self.tensors, self.dimensions
                )
            except ManifestError as err:
                raise ManifestError(f"outputs[{index}].{err}") from None
        require_program(
            self.graphs,
            self.states,
            tensors=self.tensors,
            filled=[entry.tensor for entry in self.inputs],
            clocks=[entry.tensor for entry in self.sensors],
            results={
                f"outputs[{index}].{key}": name
                for index, output in enumerate(self.outputs)
                for key, name in tensors_of(output).items()
            },
        )
        self._check_siblings()
        self._check_networks()
        self._check_members()
        self._check_robustness()

    def _check_inputs(self) -> None:
        first = next(iter(image_inputs(self.sensors)), None)
        for index, entry in enumerate(self.inputs):
            if isinstance(entry, BaseImageInput) and first is not None:
                fit = first.resize.fit
                require(
                    entry.resize.fit == fit,
                    f"inputs[{index}].resize.fit must be {fit!r}, as {first.name}'s, "
                    f"got {entry.resize.fit!r}.",
                )
        for name, shape in input_shapes(self.sensors).items():
            require(
                name in self.tensors,
                f"tensors must hold {name[:80]!r}, which inputs fill.",
            )
            require(
                self.tensors[name].shape == shape,
                f"tensors.{name}.shape must be {list(shape)}, as its inputs fill it, "
                f"got {list(self.tensors[name].shape)}.",
            )
            dtype = self.tensors[name].dtype
            require(
                dtype == "float32",
                f"tensors.{name}.dtype must be 'float32', as sensors fill it, got "
                f"{dtype!r}.",
            )

    def _check_siblings(self) -> None:
        results = {n for o in self.outputs for n in tensors_of(o).values()}
        for index, entry in enumerate(self.inputs):
            if isinstance(entry, TextInput):
                continue
            for key in ("policy", "then"):
                if getattr(entry.missing, key) == "sibling":
                    _, lost = runnable(self.graphs, [entry.tensor])
                    require(
                        lost.isdisjoint(results),
                        f"inputs[{index}].missing.{key} must not be 'sibling': no "
                        f"graph makes {', '.join(sorted(lost & results))} without "
                        f"{entry.name}.",
                    )

    def _check_networks(self) -> None:
        known = [variant.name for variant in self.variants]
        for index, graph in enumerate(self.graphs):
            for name in graph.networks:
                require(
                    name in known,
                    f"graphs[{index}].networks must name variants, "
                    f"{', '.join(known)}, got {name[:80]!r}.",
                )
            for name in known:
                require(
                    name in graph.networks or "fp32" in graph.networks,
                    f"graphs[{index}].networks must hold {name!r} or 'fp32'.",
                )
        for name in known:
            require(
                any(name in graph.networks for graph in self.graphs),
                f"variants must name only what a graph has, got {name!r}.",
            )

    def _check_members(self) -> None:
        for index, sample in enumerate(self.samples):
            for key in ("inputs", "outputs"):
                known = self.sensors if key == "inputs" else self.outputs
                names = [entry.name for entry in known]
                given = getattr(sample, key)
                require(
                    sorted(given) == sorted(names),
                    f"samples[{index}].{key} must hold one file for each of "
                    f"{', '.join(names)}, got {', '.join(given) or 'none'}.",
                )
        needed = set(self.members())
        for member in sorted(needed ^ set(self.files)) if self.files else ():
            require(
                member in self.files,
                f"files must list {member!r}, which some part names.",
            )
            raise ManifestError(
                f"files must list only what some part names, got {member[:80]!r}."
            )

    def _check_robustness(self) -> None:
        known = [sensor.name for sensor in self.sensors]
        for found in () if self.robustness is None else self.robustness.sets:
            for name in (*found.sensors, *found.refused_without):
                require(
                    name in known,
                    f"robustness must name sensors, {', '.join(known)}, got "
                    f"{name[:80]!r}.",
                )


def _require_format(value: Any, *, written: bool = False) -> None:
    if isinstance(value, int) and value > FORMAT:
        raise ManifestError(
            f"format must be {FORMAT}, the newest that this fuseg reads, got "
            f"{spell(value)}: upgrade fuseg."
        )
    require(
        type(value) is int and (value == FORMAT or (value == 1 and not written)),
        f"format must be {FORMAT}{'' if written else ' or 1'}, got {spell(value)}.",
    )
