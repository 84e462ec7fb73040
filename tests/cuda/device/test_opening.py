"""Which binding is taken, and in which words."""

from __future__ import annotations

import logging
import sys
from types import ModuleType

import pytest
from doubles import Machine, Refused, install

from fuseg import cuda
from fuseg.cuda import launch
from fuseg.errors import ArgumentError, BackendError, DeviceError


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "fuseg")
    return caplog


def lines(log):
    return [record.getMessage() for record in log.records if record.name == "fuseg"]


def test_pycuda_is_taken_where_it_imports(monkeypatch, machine, log):
    install(monkeypatch, machine)
    assert cuda.open_device().name == "pycuda"
    assert lines(log) == ["GPU 0, Pretend GPU: memory and streams through PyCUDA."]


def test_without_pycuda_the_own_module_takes_over_and_one_line_says_why(
    monkeypatch, machine, log
):
    install(monkeypatch, machine, pycuda=False)
    assert cuda.open_device().name == "native"
    (line,) = lines(log)
    assert line.startswith(
        "GPU 0, Pretend GPU: memory and streams through fuseg's own module: "
        "PyCUDA cannot be imported (import of pycuda"
    )


def test_a_pycuda_that_breaks_as_it_is_imported_is_as_good_as_none(
    monkeypatch, machine, log, tmp_path
):
    install(monkeypatch, machine)
    (tmp_path / "pycuda").mkdir()
    (tmp_path / "pycuda" / "__init__.py").write_text("")
    (tmp_path / "pycuda" / "driver.py").write_text("raise SystemError('ABI 0x1000009')")
    for name in ("pycuda", "pycuda.driver"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    assert cuda.open_device().name == "native"
    assert "(SystemError: ABI 0x1000009)" in lines(log)[0]
    monkeypatch.delitem(sys.modules, "pycuda")


def test_the_own_module_is_taken_where_it_is_asked_for(monkeypatch, machine, log):
    install(monkeypatch, machine)
    assert cuda.open_device(binding="native").name == "native"
    assert lines(log) == [
        "GPU 0, Pretend GPU: memory and streams through fuseg's own module, as asked."
    ]
    assert not machine.counts["init"]


def test_pycuda_that_is_asked_for_and_missing_is_refused_with_the_fix(
    monkeypatch, machine
):
    install(monkeypatch, machine, pycuda=False)
    with pytest.raises(BackendError, match="pip install pycuda") as caught:
        cuda.open_device(binding="pycuda")
    assert isinstance(caught.value.__cause__, ImportError)
    assert str(caught.value).count("\n") == 0


def test_a_binding_that_is_none_is_refused(monkeypatch, machine):
    install(monkeypatch, machine)
    with pytest.raises(ArgumentError, match="binding must be one of 'auto', 'pycuda'"):
        cuda.open_device(binding="cupy")


@pytest.mark.parametrize("ordinal", [2, -1, None, "0"])
@pytest.mark.parametrize("binding", ["pycuda", "native"])
def test_a_gpu_that_is_not_there_is_refused(monkeypatch, ordinal, binding):
    install(monkeypatch, Machine(devices=2))
    with pytest.raises(ArgumentError, match="ordinal must be from 0 to 1"):
        cuda.open_device(ordinal, binding=binding)


@pytest.mark.parametrize(
    ("binding", "words"),
    [
        ("pycuda", "no CUDA-capable device is detected"),
        ("native", "shows no GPU here .*no CUDA-capable device"),
    ],
)
def test_a_machine_without_a_gpu_is_told_so(monkeypatch, binding, words):
    install(monkeypatch, Machine(devices=0))
    with pytest.raises(DeviceError, match=words):
        cuda.open_device(binding=binding)


def test_a_driver_that_fails_is_not_replaced_by_another(monkeypatch, machine):
    install(monkeypatch, machine)
    machine.fail("init", error=Refused("cudaErrorUnknown", "unknown error"))
    with pytest.raises(DeviceError, match="cuInit failed: unknown error"):
        cuda.open_device()


@pytest.mark.parametrize("call", ["device_properties", "use_device", "init"])
def test_counting_never_raises(monkeypatch, call):
    machine = install(monkeypatch, Machine(devices=2))
    machine.fail(call)
    assert cuda.count() == 2


def test_without_driver_or_module_there_are_no_gpus(monkeypatch):
    def missing():
        raise BackendError("no driver")

    monkeypatch.setattr(launch, "kernels", missing)
    assert cuda.count() == 0


def test_the_facts_are_the_machines(binding, monkeypatch):
    machine = Machine(
        name="Orin", capability=(8, 7), memory_bytes=8 << 30, integrated=True
    )
    install(monkeypatch, machine)
    assert cuda.open_device(binding=binding).properties == cuda.DeviceProperties(
        "Orin", (8, 7), 8 << 30, True, "12.6"
    )


def test_importing_the_package_imports_no_pycuda():
    assert isinstance(cuda, ModuleType)
    assert "pycuda" not in sys.modules
