"""The samples of a bundle, replayed on this machine: ``fuseg verify``."""

from __future__ import annotations

from dataclasses import dataclass

from ..backends import registry
from ..bundle import Bundle
from ..runtime.outputs import adapter_of
from ..runtime.outputs.segmentation import SegmentationAdapter
from ..segmenter import Segmenter
from ..selection.label_check import agreements, first_run
from ..selection.load_options import LoadOptions
from ..selection.select import candidates

FP32_AGREEMENT = 0.9995  # of labels, with those of another machine
LABEL_AGREEMENT = SegmentationAdapter.least_agreement
_OF_LABELS = ("segmentation", "embedding")  # kinds of output


@dataclass(frozen=True)
class ReplayedSample:
    """How alike one output of a sample is to what a variant gave, and must be."""

    sample: int
    output: str
    kind: str
    variant: str
    backend: str
    agreement: float
    min_agreement: float

    @property
    def words(self) -> str:
        of = "the labels" if self.kind in _OF_LABELS else self.output
        return (
            f"{self.variant} on {self.backend}, sample {self.sample}: "
            f"{self.agreement:.6f} of {of} agree"
        )


def replay(
    bundle: Bundle,
    backend: str,
    variant: str | None,
    threads: int | None,
    allow_spinning: bool,
    device: int,
    min_agreement: float | None,
    *,
    trusted: bool,
) -> list[ReplayedSample]:
    """Every sample, with the variant named or with all meant for the backend."""
    variants = [v for v in bundle.manifest.variants if v.fits_cpu]
    if registry.runs_on_gpu(backend):
        variants = registry.variants_for(bundle, backend)
    names: list[str | None] = [variant]
    if variant is None:
        names = [v.name for v in variants] or names
    samples = []
    for wanted in names:
        options = LoadOptions(
            backend=backend,
            variant=wanted,
            threads=threads,
            allow_spinning=allow_spinning,
            device=device,
        )
        first = candidates(bundle, options)[0]
        name, chosen = first.backend, first.variant
        if not registry.runs_on_gpu(name):
            first_run(bundle, name, chosen, trusted=trusted)
        loaded = registry.load(
            bundle,
            name,
            chosen,
            threads=threads,
            allow_spinning=allow_spinning,
            device=device,
        )
        segmenter = Segmenter(bundle, LoadOptions(backend=loaded, variant=chosen.name))
        for index, found in enumerate(agreements(bundle, segmenter, segmenter.reset)):
            for output in bundle.manifest.outputs:
                least = adapter_of(output).least_agreement
                if output.kind in _OF_LABELS:
                    least = FP32_AGREEMENT if chosen.name == "fp32" else least
                    least = least if min_agreement is None else min_agreement
                samples.append(
                    ReplayedSample(
                        index,
                        output.name,
                        output.kind,
                        chosen.name,
                        name,
                        found[output.name],
                        least,
                    )
                )
    return samples
