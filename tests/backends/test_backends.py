"""Backends: the registry, what binds them to a manifest, and how they fail."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import fuseg
from fuseg import backends, errors, load
from fuseg.backends import registry
from fuseg.backends.replay import ReplayBackend
from fuseg.bundle import Bundle

SCORES = (1, 4, 6, 8)


def winner(label):
    """Scores of a network that sees one class everywhere."""
    scores = np.zeros(SCORES, np.float32)
    scores[0, label] = 1
    return scores


# The registry


def test_auto_is_a_gpu_backend_else_onnxruntime():
    assert backends.KNOWN[0] == "auto"
    assert backends.KNOWN[1:] == tuple(
        info.name for info in (*registry.GPU, *registry.CPU)
    )
    assert registry.CPU[0].name == "onnxruntime"


def test_every_backend_file_has_a_line_in_the_registry():
    """But replay, which needs recorded outputs, and programs, made of others."""
    folder = Path(registry.__file__).parent
    text = {p.stem: p.read_text() for p in folder.glob("*.py") if p.stem != "registry"}
    files = {stem for stem, code in text.items() if "Backend:\n" in code}
    files -= {"base", "replay", "program_cpu", "program_gpu"}
    modules = {info.load.__module__.rpartition(".")[2] for info in registry.BACKENDS}
    assert files | {"backend", "rtx"} == modules  # the last two are in tensorrt/


# ONNX Runtime and OpenVINO


@pytest.fixture(params=["onnxruntime", "openvino"])
def backend(request):
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


def network(shape=(1, 3, 6, 8), name="rgb", elem=1, out="scores", classes=4):
    """ONNX of one convolution, with what the test wants to be wrong about it."""
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.zeros((classes, 3, 1, 1), np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], [out])]
    first = helper.make_node("Cast", [name], ["x"], to=TensorProto.FLOAT)
    graph = helper.make_graph(
        [first, *nodes],
        "g",
        [helper.make_tensor_value_info(name, elem, shape)],
        [helper.make_tensor_value_info(out, 1, (shape[0], classes, 6, 8))],
        [numpy_helper.from_array(kernel, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("onnx", "says"),
    [
        (network(name="image"), r"input tensors must be rgb .*, got image"),
        (network(elem=10), r"input .*float32.*float16"),
        (network(out="logits"), r"output tensors must be scores .*, got logits"),
        (network(classes=5), r"output .*\(1, 4, 6, 8\).*\(1, 5, 6, 8\)"),
    ],
)
def test_a_network_that_is_not_the_manifests_is_refused(
    make_bundle, color_input, backend, onnx, says
):
    """No bundle can hold such a network; an object that a user made may."""
    own = backends.create(backend, onnx, threads=1)
    opened = Bundle.open(make_bundle(color_input()).path)
    with pytest.raises(errors.BundleError, match=says):
        fuseg.load(opened, backend=own)


WIDE, PLANES = np.zeros((1, 6, 6, 8), np.float32), np.zeros((1, 4, 6, 8), np.float32)


@pytest.mark.parametrize(
    ("rgb", "scores", "says"),
    [
        (WIDE[:, ::2], PLANES, "'rgb' must be C-contiguous .*, got float32 with"),
        (WIDE[:, :3].astype(np.float64), PLANES, "'rgb' must be .*, got float64 with"),
        (PLANES[:, :3], PLANES, "'rgb' and 'scores' must not share memory"),
    ],
    ids=["strided", "float64", "in place"],
)
def test_arrays_that_a_library_would_copy_or_mix_up_are_refused(
    backend, rgb, scores, says
):
    made = backends.create(backend, network(), threads=1)
    with pytest.raises(errors.BackendError, match=says):
        made.bind({"rgb": rgb}, {"scores": scores})


def test_words_are_int64_and_a_dimension_takes_another_size_when_bound_again(backend):
    made = backends.create(backend, pooled_words(), threads=1)
    for prompts in (1, 3, 1):
        words = np.arange(prompts * 4, dtype=np.int64).reshape(prompts, 4) % 10
        sums = np.empty((1, prompts), np.float32)
        made.bind({"words": words}, {"sums": sums})
        words += 1
        made.run()
        assert sums.tolist() == [(words * 0.5).sum(1).tolist()]
    wrong = {"words": np.zeros((1, 4), np.float32)}
    with pytest.raises(errors.BundleError, match=r"words float32 \(1, 4\).*int64"):
        made.bind(wrong, {"sums": np.empty((1, 1), np.float32)})


def pooled_words():
    """ONNX: 0.5 * the sum of each text, (prompts, 4) int64 to (1, prompts)."""
    from onnx import helper, numpy_helper

    table = numpy_helper.from_array(np.arange(11, dtype=np.float32) * 0.5, "table")
    axes = [numpy_helper.from_array(np.array([n]), name) for n, name in enumerate("ab")]
    nodes = [
        helper.make_node("Gather", ["table", "words"], ["found"]),
        helper.make_node("ReduceSum", ["found", "b"], ["flat"], keepdims=0),
        helper.make_node("Unsqueeze", ["flat", "a"], ["sums"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("words", 7, ("prompts", 4))],
        [helper.make_tensor_value_info("sums", 1, (1, "prompts"))],
        [table, *axes],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return model.SerializeToString()


def test_the_network_that_is_right_in_all_of_that_loads(
    make_bundle, color_input, backend
):
    made = make_bundle(color_input(), onnx=network())
    segmenter = fuseg.load(made.path, backend=backend)
    assert segmenter.backend_name == backend
    assert not segmenter(rgb=np.zeros((6, 8, 3), np.uint8)).labels.any()


def test_the_scores_are_the_networks(rgbd, frames, backend):
    segmenter = fuseg.load(rgbd.path, backend=backend)
    for seed in (1, 2):
        wanted = rgbd.scores(segmenter.preprocess(**frames(seed)))
        segmenter(**frames(seed))
        found = segmenter.backend.outputs["scores"][0]
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_network_the_backend_cannot_read_is_a_backend_error_with_its_cause(
    make_bundle, color_input, backend, capfd
):
    from onnx import helper

    x = helper.make_tensor_value_info("rgb", 1, (1, 3, 6, 8))
    y = helper.make_tensor_value_info("scores", 1, SCORES)
    node = helper.make_node("LinearAttention", ["rgb"], ["scores"])
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(
        helper.make_graph([node], "g", [x], [y]), opset_imports=opset, ir_version=8
    )
    made = make_bundle(color_input(), onnx=model.SerializeToString())
    with pytest.raises(errors.BackendError, match="refuses the network") as caught:
        fuseg.load(made.path, backend=backend)
    assert "LinearAttention" in str(caught.value.__cause__)
    assert capfd.readouterr().err == ""


def test_a_failure_while_running_is_a_backend_error(rgbd, frames, backend):
    segmenter = fuseg.load(rgbd.path, backend=backend)
    owner = {"onnxruntime": "session", "openvino": "request"}[backend]
    setattr(segmenter.backend, owner, None)
    with pytest.raises(errors.BackendError, match="failed to run"):
        segmenter(**frames())


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("onnxruntime", "pip install onnxruntime"),
        ("openvino", r'pip install "fuseg\[openvino\]"'),
    ],
)
def test_a_missing_backend_is_a_backend_error_that_says_what_to_install(
    rgbd, monkeypatch, name, fix
):
    monkeypatch.setitem(sys.modules, name, None)
    assert name not in backends.installed()
    with pytest.raises(errors.BackendError, match=fix):
        fuseg.load(rgbd.path, backend=name)


def test_threads_reach_the_backend(rgbd):
    segmenter = fuseg.load(rgbd.path, threads=1)
    options = segmenter.backend.session.get_session_options()
    assert options.intra_op_num_threads == 1
    assert options.inter_op_num_threads == 1


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")
def test_threads_and_float32_reach_openvino(rgbd):
    segmenter = fuseg.load(rgbd.path, backend="openvino", threads=1)
    made = segmenter.backend.network
    assert made.get_property("INFERENCE_NUM_THREADS") == 1
    assert made.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert made.get_property("NUM_STREAMS") == 1


def test_int8_gives_the_labels_of_fp32(int8_bundle, backend):
    segmenter = fuseg.load(int8_bundle, backend=backend, variant="int8-cpu", threads=1)
    assert segmenter.variant.name == "int8-cpu"  # or the replay would have raised


def test_a_clone_shares_the_weights_and_no_buffer(rgbd, frames, backend):
    segmenter = fuseg.load(rgbd.path, backend=backend)
    twin = segmenter.clone()
    one, two = segmenter.backend, twin.backend
    weights = {"onnxruntime": "session", "openvino": "network"}[backend]
    assert getattr(one, weights) is getattr(two, weights)
    for name in ("rgb", "depth"):
        assert not np.shares_memory(one.inputs[name], two.inputs[name])
    assert not np.shares_memory(one.outputs["scores"], two.outputs["scores"])
    mine = segmenter(**frames(1)).labels
    twin(**frames(2))
    np.testing.assert_array_equal(segmenter(**frames(1)).labels, mine)


def test_installed_backends_have_a_version():
    found = backends.installed()
    assert set(found) <= {info.name for info in registry.CPU}
    for name, version in found.items():
        library = importlib.import_module(registry.info_of(name).module)
        assert library.__version__.startswith(version)


# Replay


def test_replay_answers_in_order_and_starts_again(rgbd, frames):
    backend = ReplayBackend([winner(2), winner(3)])
    segmenter = load(Bundle.open(rgbd.path), backend=backend)
    seen = [np.unique(segmenter(**frames(i)).labels).tolist() for i in range(3)]
    assert seen == [[2], [3], [2]]
    assert segmenter.backend_name == "replay"


def test_replay_keeps_what_it_was_fed(rgbd, frames):
    backend = ReplayBackend([winner(0)])
    segmenter = fuseg.load(rgbd.path, backend=backend)
    wanted = [segmenter.preprocess(**frames(i)) for i in (1, 2)]
    for i in (1, 2):
        segmenter(**frames(i))
    assert len(backend.fed) == 2
    for fed, tensors in zip(backend.fed, wanted, strict=True):
        assert fed.keys() == tensors.keys()
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(fed[name], tensor)


def test_replay_needs_no_engine(rgbd, frames, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    segmenter = fuseg.load(rgbd.path, backend=ReplayBackend([winner(1)]))
    assert (segmenter(**frames()).labels == 1).all()


def test_a_clone_of_a_replay_starts_from_the_first_answer(rgbd, frames):
    segmenter = fuseg.load(rgbd.path, backend=ReplayBackend([winner(1), winner(2)]))
    segmenter(**frames())
    assert (segmenter.clone()(**frames()).labels == 1).all()
    assert (segmenter(**frames()).labels == 2).all()


def test_replay_refuses_what_does_not_fit(rgbd):
    with pytest.raises(errors.ArgumentError, match="recorded must hold at least one"):
        ReplayBackend([])
    with pytest.raises(errors.ShapeError, match=r"recorded\[1\] must have shape"):
        fuseg.load(rgbd.path, backend=ReplayBackend([winner(0), winner(0)[0]]))
    used = ReplayBackend([winner(0)])
    fuseg.load(rgbd.path, backend=used)
    with pytest.raises(errors.ArgumentError, match=r"another Segmenter.*clone\(\)"):
        fuseg.load(rgbd.path, backend=used)
    with pytest.raises(errors.ArgumentError, match="threads must be omitted"):
        fuseg.load(rgbd.path, backend=ReplayBackend([winner(0)]), threads=2)


# Packages that install the same folder


@pytest.fixture
def also_installed(tmp_path, monkeypatch):
    """``also_installed("onnxruntime-gpu", "1.31.1")``: what pip would leave of it."""
    from fuseg.backends import onnxruntime

    def put(name, version):
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (folder / "METADATA").write_text(text)

    monkeypatch.syspath_prepend(tmp_path)
    onnxruntime.warn_of_clash.cache_clear()
    yield put
    onnxruntime.warn_of_clash.cache_clear()


def test_two_packages_of_onnxruntime_are_one_warning(rgbd, also_installed, caplog):
    also_installed("onnxruntime-gpu", "9.9.1")
    for _ in range(2):
        fuseg.load(rgbd.path)
    (said,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "onnxruntime-gpu 9.9.1 are installed and share one folder" in said
    assert "pip uninstall -y onnxruntime onnxruntime-gpu; pip install onnx" in said


def test_one_package_of_onnxruntime_is_none(rgbd, also_installed, caplog):
    also_installed("onnxruntime-extensions", "9.9.1")  # a folder of its own
    fuseg.load(rgbd.path)
    assert not [r for r in caplog.records if r.levelname == "WARNING"]


@pytest.mark.parametrize(
    ("has_gpu", "jetson", "cuda", "install"),
    [
        (False, False, None, "pip install onnxruntime"),
        (True, False, (12, 4), 'pip install "onnxruntime-gpu[cuda,cudnn]<1.27"'),
        (True, False, (13, 0), 'pip install "onnxruntime-gpu[cuda,cudnn]"'),
        (*(True, True, (12, 6), "pip install onnxruntime-gpu --index-url "),),
    ],
)
def test_doctor_finds_the_clash_and_its_fix(
    also_installed, tmp_path, has_gpu, jetson, cuda, install
):
    from fuseg.cli.doctor_backends import onnxruntime_packages
    from fuseg.cli.findings import Machine

    machine = Machine(tmp_path, jetson, has_gpu, cuda, "x86_64")
    assert onnxruntime_packages(machine) == []
    also_installed("onnxruntime-gpu", "9.9.1")
    (found,) = onnxruntime_packages(machine)
    assert (found.name, found.state) == ("onnxruntime packages", "broken")
    assert found.detail.endswith("and onnxruntime-gpu 9.9.1 share one folder")
    both = "pip uninstall -y onnxruntime onnxruntime-gpu; "
    assert found.fix.startswith(both + install)
