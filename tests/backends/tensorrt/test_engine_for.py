"""An engine is built once, kept, and is the network it was made of."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from doubles import Machine, tensorrt
from doubles import tensorrt_plan as plans

from fuseg.backends.tensorrt import build_parent, cache, engines
from fuseg.backends.tensorrt.fingerprint import fingerprint_of
from fuseg.errors import ArgumentError, BuildError

BEST = {"8.6.1": "int8-trt8"}


def test_it_is_built_once_and_then_taken_from_the_cache(doubled, engine):
    first, second = engine("fp16"), engine("fp16")
    assert (first.built, second.built) == (True, False)
    assert bytes(first.plan) == bytes(second.plan)
    assert first.record == second.record
    assert len(doubled.builds()) == 1


def test_rebuild_builds_again(trt10, engine):
    engine()
    assert engine(rebuild=True).built
    assert len(trt10.builds()) == 2


def test_what_an_engine_depends_on_gives_another_fingerprint(bundle, facts):
    (net,) = bundle.manifest.graphs

    def key(variant="fp16", facts=facts, tensorrt="10.3.0", **options):
        (chosen,) = [v for v in bundle.manifest.variants if v.name == variant]
        found = fingerprint_of(
            bundle, net, chosen, facts, tensorrt, engines.Options(**options)
        )
        return found.key

    keys = [
        key(),
        key("fp32"),
        key(tensorrt="10.3.1"),
        key(workspace_mb=64),
        key(optimization_level=1),
        key(version_compatible=True),
        key(hardware_compatible=True),
        key(io_formats="float32"),
        key(aux_streams=1),
        key(facts=replace(facts, name="Other GPU")),
        key(facts=replace(facts, capability=(8, 9))),
        key(facts=replace(facts, memory_bytes=4 << 30)),
        key(facts=replace(facts, driver="12.8")),
    ]
    assert len({*keys}) == len(keys)
    assert key(facts=replace(facts, memory_bytes=(8 << 30) - (9 << 20))) == keys[0]


def test_other_options_give_another_engine(trt10, engine):
    engine("fp16")
    assert engine("fp16", options=engines.Options(io_formats="float32")).built
    assert len(trt10.builds()) == 2


def test_two_versions_of_tensorrt_have_their_own_engines(with_tensorrt, engine):
    plans_made = []
    for version in ("10.3.0", "11.4.0", "10.3.0"):
        with_tensorrt(version)
        plans_made.append(bytes(engine().plan))
    assert plans_made[0] == plans_made[2] != plans_made[1]


def test_the_variants_are_those_that_tensorrt_can_do(doubled, make_bundle_of):
    best = BEST.get(doubled.version, "int8-trt")
    wanted = [best, "fp16", "fp32"]
    for names in (("fp16", "int8-trt", "int8-trt8"), ("fp16",), ()):
        manifest = make_bundle_of(*names).manifest
        found = engines.fitting(manifest, engines.installed())
        assert [v.name for v in found] == [n for n in wanted if n in (*names, "fp32")]


def test_a_variant_for_other_versions_is_refused(doubled, engine):
    wrong = "int8-trt" if doubled.version == "8.6.1" else "int8-trt8"
    with pytest.raises(ArgumentError, match=f"{doubled.version}, got '{wrong}'"):
        engine(wrong)
    assert doubled.builds() == []


@pytest.mark.parametrize("variant", ["fp32", "fp16", "int8"])
def test_the_engine_computes_the_variant(doubled, bundle, engine, variant):
    """The record's I/O formats are all that one needs to feed it."""
    if variant == "int8":
        variant = BEST.get(doubled.version, "int8-trt")
    made = engine(variant)
    rng = np.random.default_rng(5)
    feeds = {  # float16 and the steps of int8 hold them exactly: nothing is rounded
        name: rng.integers(-60, 60, (1, planes, 6, 8)).astype(np.float32) * scale
        for name, planes, scale in (("rgb", 3, 0.03125), ("depth", 1, 0.0234375))
    }
    got = run(doubled.version, made, feeds)
    session = onnxruntime.InferenceSession(bundle.read(f"{variant}.onnx"))
    (wanted,) = session.run(["scores"], feeds)
    np.testing.assert_allclose(
        got, wanted, rtol=0, atol=1e-6 if variant == "fp32" else 4e-3
    )


def run(version, made, feeds):
    """The scores, from an engine on a pretend GPU."""
    machine = Machine()
    trt = tensorrt.make(machine, version)
    engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(made.plan)
    context = engine.create_execution_context()
    stream = machine.create_stream()
    arrays = {}
    for name, tensor in made.io_formats.items():
        shape = tuple(engine.get_tensor_shape(name))
        stored = plans.stored_shape(shape, tensor.layout.upper())
        size = int(np.prod(stored)) * np.dtype(tensor.dtype).itemsize
        address = machine.allocate_pinned(size)
        arrays[name] = array(address, stored, tensor.dtype)
        assert context.set_tensor_address(name, address)
        if name in feeds:
            value = feeds[name]
            if tensor.scale is not None:
                value = np.rint(value / tensor.scale).clip(-128, 127)
            value = value.astype(tensor.dtype)
            old = arrays[name]
            old[...] = plans.store(value, tensor.layout.upper(), old)
    assert context.execute_async_v3(stream)
    machine.synchronize(stream)
    layout = made.io_formats["scores"].layout.upper()
    shape = tuple(engine.get_tensor_shape("scores"))
    return plans.load(arrays["scores"], shape, layout).astype(np.float32)


def array(address, shape, dtype):
    import ctypes

    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = (ctypes.c_uint8 * size).from_address(address)
    return np.frombuffer(memory, dtype).reshape(shape)


@pytest.mark.usefixtures("doubled")
def test_io_formats_need_no_conversion(engine):
    made = engine("fp16")
    assert {n: (b.dtype, b.layout) for n, b in made.io_formats.items()} == {
        "rgb": ("float16", "chw4"),
        "depth": ("float16", "linear"),
        "scores": ("float16", "hwc8"),
    }


def test_int8_inputs_are_handed_over_as_they_are_quantized(doubled, engine):
    old = doubled.version == "8.6.1"
    made = engine("int8-trt8" if old else "int8-trt")
    scores = ("float32", "linear") if old else ("float16", "hwc8")
    assert {n: (b.dtype, b.layout) for n, b in made.io_formats.items()} == {
        "rgb": ("int8", "chw4"),
        "depth": ("int8", "chw4"),
        "scores": scores,
    }
    assert made.io_formats["rgb"].scale == 0.03125
    assert made.io_formats["depth"].scale == 0.0234375


@pytest.mark.usefixtures("doubled")
def test_float32_io_formats_on_request(engine):
    made = engine("fp16", options=engines.Options(io_formats="float32"))
    assert {(b.dtype, b.layout) for b in made.io_formats.values()} == {
        ("float32", "linear")
    }
    assert made.record.fallback is None


def test_io_formats_that_cannot_be_built_become_float32_and_that_is_said(
    doubled, engine, caplog
):
    doubled.set(fault="io_formats")
    made = engine("fp16")
    assert {(b.dtype, b.layout) for b in made.io_formats.values()} == {
        ("float32", "linear")
    }
    assert "no implementation for" in made.record.fallback
    (warning,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "all inputs and outputs are float32" in warning.getMessage()
    assert engine("fp16").record.fallback == made.record.fallback


def test_io_formats_that_come_out_otherwise_become_float32(trt10, engine, caplog):
    trt10.set(fault="linear")
    made = engine("int8-trt")
    assert {b.dtype for b in made.io_formats.values()} == {"float32"}
    assert "rgb must be int8 chw4, got int8 linear" in made.record.fallback
    assert len(trt10.builds()) == 2
    assert "all inputs and outputs are float32" in caplog.text


@pytest.mark.usefixtures("trt10")
def test_the_record_tells_tensorrts_warnings_and_conversions(engine):
    record = engine("fp16").record
    assert record.warnings == ("a pretend GPU has no tactics to time",)
    assert record.reformats
    assert all("Reformatting" in n for n in record.reformats)
    assert record.seconds > 0


@pytest.mark.parametrize("version", ["8.6.1", "10.3.0"])
def test_timings_are_kept_for_the_next_build(with_tensorrt, engine, version):
    doubled = with_tensorrt(version)
    engine("fp16")
    (path,) = cache.folder().glob("timing-*.cache")
    first = path.read_bytes()
    engine("int8-trt8" if doubled.version == "8.6.1" else "int8-trt")
    (path,) = cache.folder().glob("timing-*.cache")
    assert b"Conv" in first
    assert b"Dequantize" in path.read_bytes() or b"Quantize" in path.read_bytes()
    assert b"Cast" in path.read_bytes()


@pytest.mark.usefixtures("trt10")
@pytest.mark.parametrize("content", [b"damaged", b'{"version": "1", "gpu": "?"}'])
def test_timings_that_do_not_fit_are_replaced(engine, content):
    engine("fp16")
    (path,) = cache.folder().glob("timing-*.cache")
    path.write_bytes(content)
    made = engine("fp32")
    assert any("does not fit here" in w for w in made.record.warnings)
    assert b"Conv" in path.read_bytes()


def test_without_tensorrt_the_sentence_says_how_to_get_it(
    engine, monkeypatch, tmp_path
):
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: gone')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(
        build_parent, "_query_child", build_parent._query_child.__wrapped__
    )
    with pytest.raises(BuildError, match=r"libnvinfer.so.10: gone.*pip install"):
        engine()


def test_a_child_tells_version_and_typing(doubled):
    typed = doubled.version != "8.6.1"
    assert engines.installed() == engines.TensorRT(doubled.version, typed)


def test_what_is_loaded_already_is_asked_first(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt.make(None, "11.4.0"))
    assert engines.installed() == engines.TensorRT("11.4.0", True)
