"""The manifest: what a bundle holds, and how frames become labels with it.

Export writes it once; calibration, verification, benchmark and runtime read it.
Nothing about pre- or post-processing is written anywhere else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ..errors import ManifestError
from .inputs import Input, InputTensor, Missing, Resize
from .outputs import Class, Output, OutputTensor, Tail, Upsample
from .schema import Record, dump, require, require_unique, spell
from .statistics import Statistics
from .variants import File, Sample, Variant, Verification

__all__ = [
    "FORMAT",
    "Class",
    "File",
    "Input",
    "InputTensor",
    "Manifest",
    "Missing",
    "Output",
    "OutputTensor",
    "Resize",
    "Sample",
    "Statistics",
    "Tail",
    "Upsample",
    "Variant",
    "Verification",
]

FORMAT = 1


@dataclass(frozen=True)
class Manifest(Record):
    """Everything about a bundle but its weights.

    Attributes:
        format: The version of this format: 1.
        name: The name of the bundle.
        created_by: The program that wrote it, and its version.
        inputs: The sensors. Together they fill every channel of every input tensor
            of the network once.
        outputs: What the network computes; exactly one in this format.
        variants: The ONNX files, in order of preference.
        samples: Frame sets, and the labels they must give.
        provenance: What the bundle was made of, and how; for people.
        files: By member name, exactly the files that variants and samples name; empty
            until the bundle is written.
    """

    format: int = field(default=FORMAT, kw_only=True)
    name: str
    created_by: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    variants: tuple[Variant, ...]
    samples: tuple[Sample, ...] = ()
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
        value = _read_json(text)
        require(isinstance(value, dict), "a manifest must be a JSON object.")
        require("format" in value, f"format is missing: it must be {FORMAT}.")
        _require_format(value["format"])
        return cls.from_json(value)

    def dump(self) -> str:
        """Write it as JSON: the same text for equal manifests, ``parse`` reads it."""
        return json.dumps(dump(self), indent=1, allow_nan=False) + "\n"

    @property
    def full(self) -> Variant | None:
        """The float32 variant, which the others and the samples are judged by."""
        return next((v for v in self.variants if v.name == "fp32"), None)

    def members(self) -> tuple[str, ...]:
        """Name, sorted and once each, every member the variants and samples need."""
        names = {variant.file for variant in self.variants}
        for sample in self.samples:
            names |= {*sample.frames.values(), sample.labels}
        return tuple(sorted(names))

    def _check(self) -> None:
        _require_format(self.format)
        require(bool(self.inputs), "inputs must name a sensor, got an empty list.")
        require(
            len(self.outputs) == 1,
            f"outputs must be one output for this version of fuseg, got "
            f"{len(self.outputs)}.",
        )
        require(bool(self.variants), "variants must name a network, got an empty list.")
        require_unique("inputs", [entry.name for entry in self.inputs])
        require_unique("variants", [entry.name for entry in self.variants])
        self._check_tensors()
        self._check_members()

    def _check_tensors(self) -> None:
        shapes: dict[str, tuple[int, ...]] = {}
        filled: dict[str, list[int]] = {}
        fit = self.inputs[0].resize.fit
        for index, entry in enumerate(self.inputs):
            require(
                entry.resize.fit == fit,
                f"inputs[{index}].resize.fit must be {fit!r}, as the first input's, "
                f"got {entry.resize.fit!r}.",
            )
            tensor = entry.tensor
            shape = shapes.setdefault(tensor.name, tensor.shape)
            require(
                shape == tensor.shape,
                f"inputs[{index}].tensor.shape must be {list(shape)}, as an earlier "
                f"input says of {tensor.name!r}, got {list(tensor.shape)}.",
            )
            planes = range(tensor.channel, tensor.channel + entry.planes)
            filled.setdefault(tensor.name, []).extend(planes)
        for name, channels in filled.items():
            require(
                len(channels) == shapes[name][1] == len(set(channels)),
                f"inputs must fill each of the {shapes[name][1]} channels of tensor "
                f"{name!r} once, got channels {sorted(channels)[:20]}.",
            )
        output = self.outputs[0].tensor.name
        require(
            output not in shapes,
            f"outputs[0].tensor.name must differ from the inputs', got {output!r}.",
        )

    def _check_members(self) -> None:
        names = [entry.name for entry in self.inputs]
        for index, sample in enumerate(self.samples):
            require(
                sorted(sample.frames) == sorted(names),
                f"samples[{index}].frames must hold one frame for each of "
                f"{', '.join(names)}, got {', '.join(sample.frames) or 'none'}.",
            )
        needed = set(self.members())
        for member in sorted(needed ^ set(self.files)) if self.files else ():
            require(
                member in self.files,
                f"files must list {member!r}, which a variant or sample names.",
            )
            raise ManifestError(
                "files must list only what a variant or sample names, got "
                f"{member[:80]!r}."
            )


def _read_json(text: str | bytes) -> Any:
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise ManifestError("a manifest must not nest this deeply.") from None
    except ManifestError:
        raise
    except ValueError as err:
        raise ManifestError(f"a manifest must be UTF-8 JSON, but: {err}.") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    require_unique("the keys of an object", (key for key, _ in pairs))
    return dict(pairs)


def _refuse_constant(word: str) -> None:
    raise ManifestError(f"a number must be finite, got {word}.")


def _require_format(value: Any) -> None:
    if isinstance(value, int) and value > FORMAT:
        raise ManifestError(
            f"format must be {FORMAT}, the newest that this fuseg reads, got "
            f"{spell(value)}: upgrade fuseg."
        )
    require(
        value == FORMAT and type(value) is int,
        f"format must be {FORMAT}, got {spell(value)}.",
    )
