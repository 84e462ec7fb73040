"""Networks with a dimension: built for the sizes of a profile, and for none without."""

from __future__ import annotations

import pytest
from doubles import tensorrt
from onnx import load_model_from_string
from runtime.prompted import MOST, networks, prompted
from tensorrt_real.worker import Builder

from fuseg.backends.tensorrt.network_check import profile_of
from fuseg.errors import BuildError
from fuseg_export.precision.built_variant import BuiltVariant
from fuseg_export.precision.tensorrt_check import check_variants

SIZES = [[1, 12], [3, 12], [8, 12]]
# By name the profile of a network of words [prompts, 12], and what is said of it.
PROFILES = {
    "every size": ({"words": SIZES}, None),
    "one that is not read": ({"words": SIZES, "other": SIZES}, None),
    "none": (None, "no optimization profile has been defined"),
    "no input": ({}, "Dynamic input tensor words is missing dimensions in profile 0"),
    "another axis": (
        {"words": [[1, 13], [3, 13], [8, 13]]},
        "Dimension mismatch for tensor words and profile 0. At dimension axis 1",
    ),
    "fewer axes": (
        {"words": [[1], [3], [8]]},
        "tensor words has 2 dimensions but profile 0 has 1 dimensions",
    ),
    "no order": (
        {"words": [[4, 12], [3, 12], [2, 12]]},
        "no optimization profile has been defined",
    ),
}


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("version", ["10.3.0", "11.4.0", "rtx-1.7.1"])
def test_a_double_refuses_profiles_as_the_builder_does(name, version, ask):
    profile, why = PROFILES[name]
    model = load_model_from_string(networks("prompts")["text"])
    theirs = ask(model, profile=profile)
    double = Builder(tensorrt.make(None, version))
    ours = double.verdict(model.SerializeToString(), {}, profile)
    assert (ours["stage"] == "built") == theirs.built == (why is None)
    if why is not None:
        assert why in theirs.reason
        assert why in ours["reason"]


@pytest.mark.parametrize("graph", ["text", "net"])
def test_graphs_of_prompts_are_built(graph, make_bundle, color_input, check_network):
    made, files = prompted(make_bundle, color_input, several=True)
    onnx = files[f"{graph}.onnx"]
    profile = profile_of(made, next(g.reads for g in made.graphs if g.name == graph))
    least, typical, most = profile["words" if graph == "text" else "phrase"]
    assert (least[0], typical[0], most[0]) == (1, 3, MOST)
    found = check_network(onnx, {"kind": "fp32"}, profile=profile)
    assert found.io_formats["phrase"] == ("float32", "linear")
    assert found.kernels
    with pytest.raises(BuildError, match="no optimization profile has been defined"):
        check_network(onnx, {"kind": "fp32"})


@pytest.mark.usefixtures("check_network")
def test_what_is_exported_is_checked_for_every_size(make_bundle, color_input):
    made, files = prompted(make_bundle, color_input, several=True)
    model = load_model_from_string(files["text.onnx"])
    built = BuiltVariant("fp32", ("any",), {"kind": "fp32"}, model)
    (found,) = check_variants([built], made, str)
    assert found.tensorrt_refused is None
    assert found.tensorrt.kernels
