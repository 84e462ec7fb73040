"""The exporter's rules for TensorRT, held against NVIDIA's own parser and builder."""

from __future__ import annotations

import pytest
from tensorrt_real.cases import CASES, Case

from fuseg_export.precision.int8.tensorrt_rules import check_for_tensorrt

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@every_case
def test_our_verdict(case: Case):
    model = case.model()
    kept = {node.name for node in model.graph.node}  # in float32 on purpose
    broken = check_for_tensorrt(model, version="10.3", keep=kept)
    assert (not broken) == case.ours, broken


@every_case
def test_the_real_verdict(case: Case, ask):
    verdict = ask(case.model())
    assert verdict.stage in ("built", "parse", "build")
    assert verdict.built == case.real, verdict


def test_a_difference_is_one_of_the_known_kinds():
    known = {"rtx", "newer", "policy"}
    for case in CASES:
        assert (case.difference in known) == (case.ours != case.real), case.name
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_parser_names_the_node_that_it_refuses(ask):
    for name, node, operator in (
        ("zero point 3", "q", "QuantizeLinear"),
        ("a quantized bias", "bd", "DequantizeLinear"),
        ("antialias", "y", "Resize"),
    ):
        (case,) = (case for case in CASES if case.name == name)
        verdict = ask(case.model())
        assert (verdict.node, verdict.operator) == (node, operator)
