"""From the words of the command line to a network and the manifest's inputs."""

from __future__ import annotations

import itertools
import json
import sys
from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import nn

from fuseg.errors import ArgumentError, ExportError, FusegError, InputFileError
from fuseg.manifest import input_shapes
from fuseg.manifest.schema import dump
from fuseg_export.models import REFERENCE, ReferenceModel
from fuseg_export.network.input_options import describe, make_inputs
from fuseg_export.network.outputs import SelectedOutputs, Source
from fuseg_export.network.spec import default_classes, parse_classes, read_spec
from fuseg_export.network.target import NetworkOptions, resolve
from fuseg_export.ort_session import open_cpu_session
from fuseg_export.to_onnx import to_onnx

FACTORIES = """
from torch import nn
def network(): return nn.Conv2d(4, 2, 1)
class Network(nn.Conv2d):
    def __init__(self): super().__init__(3, 2, 1)
def needs(argument): return nn.ReLU()
def raises(): raise RuntimeError("no data set here. More about it.")
def number(): return 5
constant = 5
model = nn.Conv2d(4, 2, 1)
def build(): return model
"""

WRAPPED = """
import warnings
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)
    def forward(self, rgb):
        return self.conv(rgb)
class Method(Net):
    @torch.compile
    def forward(self, rgb):
        return self.conv(rgb)
def compiled(): return torch.compile(Net())
def parallel(): return nn.DataParallel(Net())
def both(): return nn.DataParallel(torch.compile(Net()))
def inside():
    net = Net()
    net.conv = torch.compile(net.conv)
    return net
def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(Net())
def in_place():
    net = Net()
    net.conv.compile()
    return net
def method(): return Method()
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with the module ``factories``, forgotten afterwards."""
    (tmp_path / "factories.py").write_text(FACTORIES)
    (tmp_path / "broken.py").write_text("import module_that_nobody_has")
    (tmp_path / "wrong.py").write_text("1 / 0")
    (tmp_path / "wrapped.py").write_text(WRAPPED)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("factories", "broken", "wrong", "wrapped"):
        sys.modules.pop(name, None)


def spec_file(folder, content):
    path = folder / "spec.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def only(word, spec=None):
    (made,) = make_inputs([word], [], {word.partition("=")[0]: spec or {}})
    return made


def test_colour_is_what_imagenet_networks_are_trained_on():
    made = only("rgb=color:480x640")
    assert (made.kind, made.dtype, made.channels) == ("color", "uint8", "RGB")
    assert (made.resize.height, made.resize.width) == (480, 640)
    assert made.resize.filter == "bilinear"
    assert made.scale == 1 / 255
    assert made.mean == (0.485, 0.456, 0.406)
    assert made.std == (0.229, 0.224, 0.225)
    assert (made.tensor, made.planes) == ("rgb", 3)
    assert made.missing.policy == "refuse"


def test_depth_is_uint16_millimetres_that_become_metres():
    made = only("depth=depth:24x32")
    assert (made.dtype, made.unit, made.invalid) == ("uint16", "mm", (0, 65535))
    assert (made.scale, made.mean, made.std) == (0.001, (0.0,), (1.0,))
    assert (made.fill, made.resize.filter) == (0.0, "nearest")
    assert input_shapes([made]) == {"depth": (1, 1, 24, 32)}


def test_thermal_is_uint16_counts_that_become_0_to_1():
    made = only("ir=thermal:24x32")
    assert (made.dtype, made.unit, made.invalid) == ("uint16", "1", ())
    assert 65535 * made.scale == 1


def test_a_map_of_numbers_has_as_many_planes_as_its_spec_says():
    made = only("hha=plane:24x32", {"planes": 3, "dtype": "uint8"})
    assert (made.kind, made.mean, made.std) == ("plane", (0.0,) * 3, (1.0,) * 3)
    assert input_shapes([made]) == {"hha": (1, 3, 24, 32)}
    plain = only("hha=plane:24x32")
    assert (plain.dtype, plain.planes, plain.scale) == ("float32", 1, 1.0)
    given = {"hha": {"planes": 2, "mean": [1.0, 2.0]}}
    words = ["rgb=color:24x32", "hha=plane:24x32"]
    rgb, hha = make_inputs(words, ["hha,rgb"], given)
    assert (hha.channel, rgb.channel, hha.mean) == (0, 2, (1.0, 2.0))
    with pytest.raises(ArgumentError, match="mean must be a list of 3 for kind 'pl"):
        only("hha=plane:24x32", {"planes": 3, "mean": [0.0]})


def test_range_is_float32_metres():
    made = only("lidar=range:24x32")
    assert (made.dtype, made.unit, made.invalid) == ("float32", "m", (0,))
    assert made.scale == 1


def test_tensors_come_in_the_order_of_the_words():
    made = make_inputs(["b=depth:4x6", "a=color:8x8"], [], {})
    assert input_shapes(made) == {"b": (1, 1, 4, 6), "a": (1, 3, 8, 8)}


def test_stacked_inputs_fill_one_tensor_in_the_stack_s_order():
    words = ["rgb=color:4x6", "d=depth:4x6", "ir=thermal:4x6"]
    rgb, d, ir = make_inputs(words, ["ir,rgb"], {})
    assert input_shapes((rgb, d, ir)) == {"ir_rgb": (1, 4, 4, 6), "d": (1, 1, 4, 6)}
    assert (ir.channel, rgb.channel) == (0, 1)
    rgb, _, ir = make_inputs(words, ["rgb,ir"], {})
    assert (rgb.channel, ir.channel) == (0, 3)


def test_a_spec_changes_what_it_names_and_nothing_else():
    plain = only("ir=thermal:4x6")
    changed = only(
        "ir=thermal:4x6",
        {
            "dtype": "uint8",
            "scale": 0.5,
            "resize": {"filter": "nearest-exact"},
            "missing": {"policy": "hold", "max_age_ms": 80, "then": "substitute"},
        },
    )
    assert (changed.dtype, changed.scale) == ("uint8", 0.5)
    assert changed.resize.filter == "nearest-exact"
    assert (changed.resize.height, changed.unit) == (4, plain.unit)
    assert changed.missing.max_age_ms == 80


def test_every_input_is_exported_with_limits_of_its_age():
    (made,) = json.loads(json.dumps(dump((only("rgb=color:4x6"),))))
    wanted = {"policy": "refuse", "max_age_ms": 500.0, "max_ahead_ms": 100.0}
    assert made["missing"] == wanted
    without = only("rgb=color:4x6", {"missing": {"max_age_ms": None}})
    assert dump(without)["missing"] == {**wanted, "max_age_ms": None}
    for model in REFERENCE.values():
        for entry in dump(model.inputs):
            assert entry["missing"]["max_age_ms"] in (200.0, 500.0)
            assert entry["missing"]["max_ahead_ms"] == 100.0


def test_the_limits_are_told_to_whom_exports():
    text = describe(only("rgb=color:4x6"))
    assert "if missing: refuse; late after 500 ms, early by 100 ms; change it" in text


def test_a_spec_may_take_hold_from_a_reference_model(tmp_path):
    changes = {"missing": {"policy": "refuse"}}
    spec = spec_file(tmp_path, {"inputs": {"depth": changes}})
    missing = resolve(NetworkOptions("rgbd", spec=spec)).inputs[1].missing
    assert (missing.policy, missing.then, missing.max_age_ms) == ("refuse", None, 200.0)


def test_a_spec_may_change_a_reference_model_too(tmp_path):
    spec = spec_file(tmp_path, {"inputs": {"depth": {"unit": "0.1mm"}}, "ignore": 7})
    target = resolve(NetworkOptions("rgbd", spec=spec))
    rgb, depth = target.inputs
    assert (rgb, depth.unit) == (REFERENCE["rgbd"].inputs[0], "0.1mm")
    assert depth.tensor == REFERENCE["rgbd"].inputs[1].tensor
    (output,) = target.outputs
    settings = {"classes": REFERENCE["rgbd"].classes, "ignore": 7}
    assert output.settings == settings


def test_a_reference_model_brings_all_it_needs():
    target = resolve(NetworkOptions("rgbd"))
    assert target.inputs == REFERENCE["rgbd"].inputs
    assert (target.name, target.is_reference, target.notes) == ("rgbd", True, ())
    assert not target.network.training


OWN_WORDS = ("sound=audio:400", "rgb=color:8x8")
OWN_SPEC = {
    "inputs": {"rgb": {"mean": [0.0] * 3, "missing": {"policy": "substitute"}}},
    "outputs": {
        "labels": {"kind": "segmentation", "path": 0},
        "scene": {"kind": "classes", "path": 1, "classes": ["in", "out"]},
    },
    "states": [{"tensor": "memory", "output": 2, "shape": [4, 2, 2]}],
    "classes": ["floor", "wall"],
}


@pytest.fixture
def own(monkeypatch):
    """A reference model of all that a spec file can say, and its scenes."""

    def scenes(_inputs, _numbers):
        raise NotImplementedError

    model = ReferenceModel(
        "own", "a family", "a line", nn.Identity, OWN_WORDS, OWN_SPEC, scenes
    )
    monkeypatch.setitem(REFERENCE, "own", model)
    return model


@pytest.mark.usefixtures("here")
def test_a_reference_model_is_a_factory_and_what_anybody_would_write(own, tmp_path):
    spec = spec_file(tmp_path, OWN_SPEC)
    theirs = resolve(NetworkOptions("factories:network", inputs=OWN_WORDS, spec=spec))
    ours = resolve(NetworkOptions("own"))
    for key in ("inputs", "records", "order", "outputs", "states", "shapes", "split"):
        assert getattr(ours, key) == getattr(theirs, key), key
    assert [r.name for r in ours.outputs] == ["labels", "scene"]
    assert ours.order == ("sound", "rgb")
    assert ours.scenes is own.scenes
    assert theirs.scenes is not own.scenes


@pytest.mark.usefixtures("own")
def test_what_a_reference_model_says_is_changed_key_by_key(tmp_path):
    changes = {
        "inputs": {"rgb": {"std": [2.0] * 3}},
        "outputs": {"scene": {"classes": ["left", "right"]}},
        "classes": ["a", "b", "c"],
    }
    target = resolve(NetworkOptions("own", spec=spec_file(tmp_path, changes)))
    assert (target.inputs[0].mean, target.inputs[0].std) == ((0.0,) * 3, (2.0,) * 3)
    assert target.inputs[0].missing.policy == "substitute"
    labels, scene = target.outputs
    assert [c.name for c in labels.settings["classes"]] == ["a", "b", "c"]
    assert (scene.settings["classes"], scene.path) == (["left", "right"], "1")


@pytest.mark.usefixtures("own")
def test_outputs_of_the_command_line_take_the_place_of_a_reference_model_s():
    (output,) = resolve(
        NetworkOptions("own", outputs=["labels=segmentation:3"])
    ).outputs
    assert output.path == "3"
    assert [c.name for c in output.settings["classes"]] == ["floor", "wall"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("word", ["factories:network", "factories:Network"])
def test_a_factory_in_the_working_directory_is_found(word):
    path = [*sys.path]
    target = resolve(NetworkOptions(word, inputs=["rgb=color:8x8"]))
    assert isinstance(target.network, nn.Conv2d)
    assert not target.network.training
    assert not any(p.requires_grad for p in target.network.parameters())
    assert target.name == word.partition(":")[2]
    (output,) = target.outputs
    assert (output.kind, output.settings) == ("segmentation", {"ignore": 255})
    assert sys.path == path


@pytest.mark.usefixtures("here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of the import
@pytest.mark.parametrize(
    ("name", "wrappers"),
    [
        ("compiled", ["torch.compile"]),
        ("parallel", ["DataParallel"]),
        ("both", ["DataParallel", "torch.compile"]),
        ("inside", ["torch.compile"]),
        ("in_place", ["torch.compile"]),
        ("method", ["torch.compile"]),
    ],
)
def test_what_training_put_around_a_network_is_taken_off(name, wrappers):
    target = resolve(NetworkOptions(f"wrapped:{name}", inputs=["rgb=color:8x8"]))
    assert list(target.network.state_dict()) == ["conv.weight", "conv.bias"]
    frame = torch.ones(1, 3, 8, 8)
    with torch.inference_mode():
        expected = torch.nn.functional.conv2d(frame, target.network.conv.weight)
        expected += target.network.conv.bias[:, None, None]
    example = {"rgb": frame}
    model = to_onnx(SelectedOutputs(target.network, [Source()]), example, 17).model
    (got,) = open_cpu_session(model).run(None, {"rgb": frame.numpy()})
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-6)
    notes = [f"took {wrapper} off the network" for wrapper in wrappers]
    assert list(target.adapted) == notes


@pytest.mark.usefixtures("here")
def test_what_is_assumed_of_a_foreign_input_is_said():
    target = resolve(NetworkOptions("factories:network", inputs=["d=depth:8x8"]))
    (note,) = target.notes
    assert note.startswith("d: uint16 in mm, invalid 0, 65535, times 0.001, minus 0,")


@pytest.mark.parametrize(
    ("word", "error", "sentence"),
    [
        (
            "rgbdd",
            ArgumentError,
            r"an ONNX file, got rgbdd: did you mean rgbd\?$",
        ),
        ("add-midle", ArgumentError, r"got add-midle: did you mean add-middle\?$"),
        ("telephone", ArgumentError, r"a reference model, which .*, got telephone\.$"),
        ("a-b:c", ArgumentError, "package.module:factory, or an ONNX file, got a-b:c"),
        ("nowhere.at:all", ArgumentError, "nowhere.at, which is neither installed"),
        ("factories:nothing", ArgumentError, "has no such nothing"),
        ("factories:constant", ArgumentError, "has no such constant"),
        ("factories:number", ArgumentError, "return a torch.nn.Module, got int"),
        (
            "factories:needs",
            ArgumentError,
            r"--arg NAME=VALUE: missing a required argument: 'argument'",
        ),
        ("factories:raises", ExportError, "failed: RuntimeError: no data set here.$"),
        ("w.pth", ArgumentError, "w.pth: a file of weights goes to --checkpoint; the"),
        (
            "./factories.py:network",
            ArgumentError,
            r"py:network: a module goes by its name, factories:network\.$",
        ),
        (
            "a/b/net.py:build",
            ArgumentError,
            r"by its name, net:build, in the folder a/b\.$",
        ),
        (
            "net.py",
            ArgumentError,
            r"net:FUNCTION; FUNCTION is the one in net.py that m",
        ),
        (
            "factories:model",
            ArgumentError,
            r"write def build\(\): return model into factories, and give factories:bui",
        ),
        ("wrapped:scripted", ArgumentError, "got a TorchScript one: return the module"),
        ("broken:network", ExportError, "ModuleNotFoundError: No module named 'module"),
        ("wrong:network", ExportError, "importing wrong failed: ZeroDivisionError"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_target_that_gives_no_network_is_refused(word, error, sentence):
    with pytest.raises(error, match=sentence):
        resolve(NetworkOptions(word, inputs=["rgb=color:8x8"]))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("word", ["factories:build", "factories:network"])
def test_what_these_sentences_advise_works(word):
    assert isinstance(
        resolve(NetworkOptions(word, inputs=["d=depth:8x8"])).network, nn.Conv2d
    )


@pytest.mark.parametrize(
    ("words", "stacks", "sentence"),
    [
        ([], [], "--input must be given for every input"),
        (["rgb"], [], "NAME=KIND:HEIGHTxWIDTH, as in rgb=color:480x640, got rgb"),
        (["rgb=color"], [], "got rgb=color"),
        (["rgb=color:480"], [], "got rgb=color:480"),
        (["rgb=color:480x-1"], [], "got rgb=color:480x-1"),
        (
            ["rgb=colour:8x8"],
            [],
            "depth, thermal, range, plane, text, audio, got colour",
        ),
        (["rgb=color:0x8"], [], "input rgb: resize.height must be 1 to"),
        (["size=depth:8x8"], [], "input size: name must not be 'size'"),
        (["a b=depth:8x8"], [], "name must be a Python name"),
        (["a=depth:8x8", "a=color:8x8"], [], "every input once, got a twice"),
        (["a=depth:8x8", "b=depth:8x8"], ["a"], "two or more of the inputs a, b"),
        (["a=color:8x8:uint16"], [], "a: dtype must be 'uint8', got 'uint16'"),
        (["a=depth:8x8:int8"], [], "dtype must be one of 'uint8', 'uint16', 'float32'"),
        (["a=depth:8x8", "b=depth:8x8"], ["a,c"], "joined by commas, got a,c"),
        (["a=depth:8x8", "b=depth:8x8"], ["a,b", "b,a"], "once, got [ab] twice"),
        (["a=depth:8x8", "b=depth:4x8"], ["a,b"], "one size, got 4x8, 8x8"),
        (
            ["a=depth:8x8", "b=depth:8x8", "a_b=depth:8x8"],
            ["a,b"],
            "a tensor named a_b, which must not be an input's name",
        ),
    ],
)
def test_an_input_word_that_does_not_fit_is_refused(words, stacks, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        make_inputs(words, stacks, {})


def test_a_type_that_input_and_spec_say_is_one():
    word, said = "a=range:8x8:uint16", {"dtype": "uint16", "scale": 0.01}
    (made,) = make_inputs([word], [], {"a": said})
    assert (made.dtype, made.unit, made.invalid) == ("uint16", "mm", (0, 65535))
    assert made.scale == 0.01
    with pytest.raises(
        ArgumentError, match="dtype must be 'uint16', as --input says, got 'uint8'"
    ):
        make_inputs([word], [], {"a": {"dtype": "uint8"}})


def test_input_words_are_refused_for_a_reference_model():
    with pytest.raises(ArgumentError, match="must be absent for rgbd: it brings"):
        resolve(NetworkOptions("rgbd", inputs=["rgb=color:8x8"]))


@pytest.mark.parametrize(
    ("content", "error", "sentence"),
    [
        ("[1]", ArgumentError, "must hold a JSON object"),
        ("{", InputFileError, "must be JSON, but"),
        ('{"ignore": NaN}', InputFileError, "NaN is not a number of JSON"),
        ('{"ignore": 1, "ignore": 2}', InputFileError, "'ignore' occurs twice"),
        ({"input": {}}, ArgumentError, "'input' is unknown; known are inputs, outp"),
        ({"inputs": []}, ArgumentError, "inputs must be an object"),
        ({"inputs": {"ir": {}}}, ArgumentError, "name only rgb, depth, got ir"),
        ({"inputs": {"rgb": 3}}, ArgumentError, "inputs.rgb must be an object"),
        ({"inputs": {"rgb": {"kind": "depth"}}}, ArgumentError, "not hold 'kind'"),
        ({"inputs": {"rgb": {"gain": 1}}}, ArgumentError, "rgb: gain is not a key"),
        ({"inputs": {"rgb": {"mean": [0]}}}, ArgumentError, "rgb: mean must be a list"),
        ({"inputs": {"rgb": {"resize": {"fit": "crop"}}}}, ArgumentError, "resize.fit"),
        ({"inputs": {"depth": {"unit": "K"}}}, ArgumentError, "depth: unit must fit"),
        ({"ignore": 256}, ArgumentError, "ignore must be a whole number from 0 to 255"),
        ({"ignore": True}, ArgumentError, "ignore must be a whole number"),
        ({"split": "depth"}, ArgumentError, "split must be a list of inputs' names"),
        ({"arguments": [1]}, ArgumentError, "arguments must be an object, by name"),
        ({"constants": 3}, ArgumentError, "constants must be an object, by name"),
        ({"call": "tuple"}, ArgumentError, "call must be one of positional, list, "),
        (
            {"call": "list"},
            ArgumentError,
            "--layout and --freeze-random must be absent",
        ),
        ({"weights_key": 3}, ArgumentError, "weights_key must be a text, got 3"),
        ({"freeze_random": "1"}, ArgumentError, "freeze_random must be a whole number"),
        ({"own_load_state_dict": 1}, ArgumentError, "must be true or false, got 1"),
        ({"ignore_weights": "a"}, ArgumentError, "ignore_weights must be a list of t"),
        ({"classes": "wall"}, ArgumentError, "must be a list of 1 to 255 classes"),
        ({"classes": []}, ArgumentError, "must be a list of 1 to 255 classes"),
        ({"classes": ["a", "a"]}, ArgumentError, "must be unique, got 'a' twice"),
        ({"classes": ["a", 3]}, ArgumentError, "class 1 must have a name, got 3"),
        ({"classes": [{"name": "a"}]}, ArgumentError, "color is missing"),
        (
            {"classes": ["a\x00"]},
            ArgumentError,
            r"^--spec .*spec.json: classes: name must be a string",
        ),
    ],
)
def test_a_spec_that_does_not_fit_is_refused(tmp_path, content, error, sentence):
    with pytest.raises(FusegError, match=sentence) as caught:
        resolve(NetworkOptions("rgbd", spec=spec_file(tmp_path, content)))
    assert isinstance(caught.value, error)


def test_a_spec_may_begin_with_a_byte_order_mark(tmp_path):
    spec = spec_file(tmp_path, '\ufeff{"ignore": 7}')
    assert read_spec(spec).ignore == 7


def test_a_spec_that_is_not_there_is_an_input_file_error(tmp_path):
    with pytest.raises(InputFileError, match="cannot be read: No such file"):
        read_spec(tmp_path / "none.json")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(InputFileError, match="must be text in UTF-8"):
        read_spec(tmp_path / "binary")


def test_classes_are_read_from_words_and_files(tmp_path):
    lines, listed = tmp_path / "classes.txt", tmp_path / "classes.json"
    lines.write_text("floor\nwall\n")
    listed.write_text('["floor", {"name": "wall", "color": [1, 2, 3]}]')
    for word in ("floor,wall", "floor, wall", str(lines), str(listed)):
        assert [c.name for c in parse_classes(word)] == ["floor", "wall"]
    assert parse_classes(str(listed))[1].color == (1, 2, 3)
    for file in (lines, listed):  # as Windows' editors save them
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
        assert [c.name for c in parse_classes(str(file))] == ["floor", "wall"]
    with pytest.raises(InputFileError, match=r"--classes no\.txt: there is no such"):
        parse_classes("no.txt")
    with pytest.raises(ArgumentError, match="class 1 must have a name"):
        parse_classes("floor,,wall")


def test_generated_classes_have_their_own_names_and_colours():
    classes = default_classes(255)
    assert classes[254].name == "class_254"
    assert len({c.color for c in classes}) == 255
    # Of the first dozen no two look alike.
    colors = np.array([c.color for c in classes[:12]], float)
    distances = np.linalg.norm(colors[:, None] - colors[None], axis=-1)
    assert distances[~np.eye(12, dtype=bool)].min() > 40


@pytest.mark.usefixtures("here")
def test_named_classes_win_over_those_of_the_spec(tmp_path):
    spec = spec_file(tmp_path, {"classes": ["a", "b"]})
    target = resolve(
        NetworkOptions("factories:network", inputs=["d=depth:8x8"], spec=spec)
    )
    assert [c.name for c in target.outputs[0].settings["classes"]] == ["a", "b"]
    target = resolve(
        NetworkOptions(
            "factories:network", inputs=["d=depth:8x8"], spec=spec, classes="x,y"
        )
    )
    assert [c.name for c in target.outputs[0].settings["classes"]] == ["x", "y"]


SAID = """
{"inputs": {
  "rgb": {"mean": [0, 0, 0], "resize": {"filter": "bilinear"}, "dtype": "uint8"},
  "depth": {"planes": 3, "mean": [0, 0, 0], "std": [1, 1, 1], "invalid": [0], "fill": 0,
    "unit": "mm", "clip": [0, 9], "transform": "log",
    "missing": {"policy": "hold", "max_age_ms": 100, "then": "refuse"}}},
 "outputs": {"labels": {"kind": "segmentation", "path": "out", "layout": "nchw",
    "masks": "aux", "ignore": 255, "classes": ["a", "b"], "background": {"score": 0}}},
 "states": [{"tensor": "m", "output": "x", "shape": [1, 2, 3], "initial": 0}],
 "classes": ["a", {"name": "b", "color": [1, 2, 3], "ids": [1]}], "ignore": 255,
 "split": ["depth"], "arguments": {"a": 1}, "call": "list", "constants": {"k": 1},
 "freeze_random": 1, "weights_key": "m", "ignore_weights": ["x"],
 "own_load_state_dict": false}
"""
OTHERS = (3, -1.5, "x", None, [], [1, [2]], {}, {"a": 1}, True, 10**30)


def places(value, way=()):
    """The ways to everything inside."""
    inside = value if isinstance(value, dict) else range(len(value))
    for key in inside:
        yield (*way, key)
        if isinstance(value[key], (dict, list)):
            yield from places(value[key], (*way, key))


@pytest.mark.parametrize("stacks", [(), ("rgb,depth",)], ids=["apart", "stacked"])
@pytest.mark.usefixtures("home")
def test_a_spec_of_any_other_types_gets_one_sentence(tmp_path, stacks):
    inputs, refused, count = ("rgb=color:48x64", "depth=depth:48x64"), 0, 0
    for way, other in itertools.product(places(json.loads(SAID)), OTHERS):
        said = json.loads(SAID)
        spec = here = {way[0]: said[way[0]]}
        for key in way[:-1]:
            here = here[key]
        here[way[-1]] = other
        path, count = spec_file(tmp_path, spec), count + 1
        with suppress(FusegError):
            resolve(
                NetworkOptions(
                    "foreign:TwoInputs", inputs=inputs, stacks=stacks, spec=path
                )
            )
            refused -= 1
        refused += 1
    assert refused > 0.7 * count > 300
