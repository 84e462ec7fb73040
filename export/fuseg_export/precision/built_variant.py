"""One variant of a network, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import onnx

from fuseg.backends.tensorrt.network_check import NetworkCheck
from fuseg.dataset.scoring import Score
from fuseg.manifest import State

from ..outputs.comparison import Comparison, over
from .evaluate import NetworkFunction, network_function, with_states
from .fp16_simulation import simulate
from .mixed_precision_search import MixedPrecision
from .options import Budget
from .texts_apart import TextsApart

__all__ = ["BuiltVariant", "Functions"]


@dataclass(frozen=True)
class BuiltVariant:
    """One variant, and what is known of it.

    Attributes:
        name, targets, precision: As the manifest has them.
        model: The graph, with float32 inputs and outputs.
        frames: How many it was evaluated on; 0 if it was not.
        score: On their true labels; None if those are not known.
        comparisons: Its outputs with fp32's on the same frames, by name, the first
            segmentation first; empty for fp32 itself.
        mixed_precision: What had to stay in float, and how it does without that.
        times: Median milliseconds of one run, one thread, by backend; of a network with
            texts without what these alone decide.
        float_on_ort: Quantized layers that ONNX Runtime computes in float nevertheless;
            of int8-cpu, which is made for it.
        tensorrt: What NVIDIA's builder made of it; None if it was not asked.
        tensorrt_refused: Why that does not take it; None if it does.
        refused: Why it is left out; None if it goes into the bundle.
    """

    name: str
    targets: tuple[str, ...]
    precision: dict[str, str]
    model: onnx.ModelProto
    frames: int = 0
    score: Score | None = None
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)
    mixed_precision: MixedPrecision | None = None
    times: dict[str, float] = field(default_factory=dict)
    float_on_ort: tuple[str, ...] = ()
    tensorrt: NetworkCheck | None = None
    tensorrt_refused: str | None = None
    refused: str | None = None

    @property
    def comparison(self) -> Comparison | None:
        """Of the first segmentation; without one of the first output."""
        return next(iter(self.comparisons.values()), None)

    @property
    def fastest(self) -> tuple[str, float] | None:
        """The backend that runs it fastest, and its time."""
        return min(self.times.items(), key=lambda item: item[1], default=None)

    def over(self, budget: Budget) -> str | None:
        """What is over the budget, in words; None if nothing is."""
        return over(self.comparisons, budget)

    def function(self, apart: TextsApart, states: Sequence[State]) -> NetworkFunction:
        """It as a function that hands its states on; float16 is simulated, since ONNX
        Runtime computes it in float32 on a CPU."""
        half = {"fp16", "float16"} & set(self.precision.values())
        made = simulate if half else network_function
        if not states:
            return apart.function(self.model, made)
        return with_states(made(self.model), self.model, states)


class Functions(Mapping[str, NetworkFunction]):
    """Variants as functions, by name, each opened when it is asked for: all of them
    at once would hold the weights as often."""

    def __init__(
        self,
        variants: Sequence[BuiltVariant],
        apart: TextsApart,
        states: Sequence[State],
    ) -> None:
        self._variants = {variant.name: variant for variant in variants}
        self._apart, self._states = apart, states
        self._opened: dict[str, NetworkFunction] = {}

    def __getitem__(self, name: str) -> NetworkFunction:
        if name not in self._opened:
            variant = self._variants[name]
            self._opened[name] = variant.function(self._apart, self._states)
        return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variants)

    def __len__(self) -> int:
        return len(self._variants)
