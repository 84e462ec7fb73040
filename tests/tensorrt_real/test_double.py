"""The doubles take and refuse what NVIDIA's own parser and builder do."""

from __future__ import annotations

import pytest
from doubles import tensorrt
from onnx import parser
from tensorrt_real.cases import CASES, Case
from tensorrt_real.worker import Builder

PAIR = "d = DequantizeLinear(x, s, z) y = QuantizeLinear(d, s, z)"
OF_TYPE = {
    "float": ({"LINEAR"}, "y = Relu(x)"),
    "float16": ({"LINEAR", "CHW4", "HWC8"}, "y = Relu(x)"),
    "int8": ({"LINEAR", "CHW4"}, PAIR),
}
ASKED = (
    *([], ["LINEAR"], ["CHW4"], ["HWC8"], ["LINEAR", "CHW4"], ["LINEAR", "HWC8"]),
    *(["CHW4", "HWC8"],),
)


VERSIONS = ("10.3.0", "11.4.0", "rtx-1.7.1")


def double(version: str = "rtx-1.7.1") -> Builder:
    return Builder(tensorrt.make(None, version))


@pytest.mark.parametrize("version", VERSIONS)
def test_networks(version):
    builder, wrong = double(version), []
    for case in CASES:
        found = builder.verdict(case.model().SerializeToString(), {})
        if (found["stage"] == "built") != true_verdict(case, version):
            wrong.append((case.name, found))
    assert wrong == []


def true_verdict(case: Case, version: str) -> bool:
    """What only TensorRT for RTX lacks is in the doubles of other versions."""
    only_rtx = case.difference == "rtx" and not version.startswith("rtx-")
    return case.ours if only_rtx else case.real


def test_the_node_that_is_refused_is_named(ask):
    builder = double()
    for case in (case for case in CASES if not case.real):
        theirs = ask(case.model())
        ours = builder.verdict(case.model().SerializeToString(), {})
        if theirs.node:  # not of plugins, nor of what the builder refuses
            assert (ours["node"], ours["operator"]) == (theirs.node, theirs.operator)


@pytest.mark.parametrize("kind", OF_TYPE)
def test_every_format_that_is_asked_for_must_fit_the_type(kind, ask):
    fitting, body = OF_TYPE[kind]
    model = parser.parse_model(
        f'<ir_version: 9, opset_import: ["": 19]> g ({kind}[1,8,16,16] x) => '
        f"({kind}[1,8,16,16] y) <float s = {{0.5}}, int8 z = {{0}}> {{ {body} }}"
    )
    builder = double()
    for asked in ASKED:
        fits = bool(asked) and fitting.issuperset(asked)
        assert ask(model, {"x": asked}).built == fits
        ours = builder.verdict(model.SerializeToString(), {"x": asked})
        assert (ours["stage"] == "built") == fits, ours
