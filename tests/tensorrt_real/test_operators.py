"""NVIDIA's builder takes the operators that the exporter says TensorRT has."""

from __future__ import annotations

import itertools

import pytest
from tensorrt_real.operators import graphs

from fuseg.errors import ExportError
from fuseg_export.passes.to_fp16 import to_fp16
from fuseg_export.precision.int8.tensorrt_operators import OPERATORS

TRIES = 12  # of graphs with one operator: some of its node tests have other limits
# In plugins that TensorRT has and TensorRT for RTX has not.
PLUGINS = {"DeformConv", "NonMaxSuppression", "NonZero", "RoiAlign"}
# Of which ONNX's own checker takes no FP16 form: the exporter makes none.
NO_FP16 = {"GroupNormalization", "MeanVarianceNormalization"}
EVERY = sorted(OPERATORS["10.3"])

pytestmark = pytest.mark.slow


def refusals(models, ask) -> list[str] | None:
    """Why none is built; None if one is."""
    reasons = []
    for model in models:
        verdict = ask(model)
        if verdict.built:
            return None
        reasons.append(verdict.reason)
    return reasons


@pytest.mark.parametrize("operator", EVERY)
def test_it_is_built(operator, ask):
    reasons = refusals(itertools.islice(graphs(operator), TRIES), ask)
    assert reasons != []
    assert (reasons is not None) == (operator in PLUGINS), reasons


@pytest.mark.parametrize("operator", sorted(set(EVERY) - PLUGINS - NO_FP16))
def test_it_is_built_in_float16(operator, ask):
    halves = map(to_fp16, itertools.islice(graphs(operator), TRIES))
    assert refusals(halves, ask) is None


@pytest.mark.parametrize("operator", sorted(NO_FP16))
def test_the_exporter_makes_no_float16_of_it(operator):
    with pytest.raises(ExportError, match="is not valid"):
        to_fp16(next(graphs(operator)))
