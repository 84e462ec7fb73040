"""What a GPU refuses becomes an error of fuseg, with the driver's own as its cause."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
from doubles import Refused

from fuseg.cuda import open_device
from fuseg.cuda.buffers import Buffers
from fuseg.errors import DeviceError, DeviceMemoryError

ECC = Refused("cudaErrorECCUncorrectable", "uncorrectable ECC error encountered")
WORDS = ECC.text


def one_frame(device):
    """All that a frame needs; returns what came back."""
    with device.active():
        there, stream = device.allocate(3 << 20), device.create_stream()
        second, host = device.allocate(5 << 20), device.pinned(1 << 20)
        host.array[:] = 1
        device.upload(there, host.array, stream)
        device.copy(second, there, 1 << 20, stream)
        device.download(host.array, second, stream)
        device.synchronize(stream)
        return np.array(host.array)


@pytest.mark.parametrize(("nth", "mib"), [(1, "3.0"), (2, "5.0")])
def test_out_of_memory_at_each_allocation_says_how_much_and_what_is_free(
    on_double, machine, nth, mib
):
    machine.fail("allocate", nth)
    with pytest.raises(DeviceMemoryError) as caught:
        one_frame(on_double)
    free = 64 - (3 if nth == 2 else 0)
    assert f"{mib} MiB were asked for and {free}.0 MiB of 64.0 MiB are free" in str(
        caught.value
    )
    assert isinstance(caught.value, MemoryError)
    assert "out of memory" in str(caught.value.__cause__)


def test_more_than_there_is_is_refused_and_what_there_is_can_still_be_taken(on_double):
    with on_double.active():
        with pytest.raises(DeviceMemoryError, match=r"65\.0 MiB were asked for and 64"):
            on_double.allocate(65 << 20)
        on_double.free(on_double.allocate(64 << 20))


def test_memory_that_cannot_be_locked_is_told_with_sizes(on_double, machine):
    machine.fail("pinned")
    words = r"1\.0 MiB cannot be page-locked .*[\d.]+ MiB of the CPU's memory are free"
    with pytest.raises(DeviceMemoryError, match=words) as caught:
        one_frame(on_double)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    "call",
    [
        *("allocate", "create_stream", "pinned", "upload", "copy", "download"),
        *("synchronize", "run"),
    ],
)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_lost_gpu_is_a_device_error_wherever_it_is_lost(
    on_double, machine, call, nth
):
    machine.fail(call, nth, ECC, lost=True)
    for _ in range(nth):
        last = None
        try:
            one_frame(on_double)
        except DeviceError as err:
            last = err
    assert last is not None
    assert not isinstance(last, DeviceMemoryError)
    assert WORDS in str(last)
    assert last.__cause__ is not None
    assert str(last).count("\n") == 0
    with pytest.raises(DeviceError, match=WORDS):
        one_frame(on_double)


def test_a_call_that_fails_once_fails_once(on_double, machine):
    machine.fail("upload", error=Refused("cudaErrorInvalidValue", "invalid argument"))
    with pytest.raises(DeviceError, match=r"nothing was copied on GPU 0: .*invalid"):
        one_frame(on_double)
    assert (one_frame(on_double) == 1).all()


@pytest.mark.parametrize("call", ["memory", "free", "free_pinned", "destroy_stream"])
def test_giving_back_to_a_lost_gpu_is_told_or_passes(binding, machine, call):
    """PyCUDA lets it pass where it only cleans up."""
    device = open_device(binding=binding)
    with device.active():
        there, stream = device.allocate(10), device.create_stream()
        host = device.pinned(10)
        machine.fail(call, error=ECC, lost=True)
        arguments = {
            "memory": (),
            "free": (there,),
            "free_pinned": (host,),
            "destroy_stream": (stream,),
        }
        passes = binding == "pycuda" and call != "memory"
        expected = nullcontext() if passes else pytest.raises(DeviceError, match=WORDS)
        with expected:
            getattr(device, call)(*arguments[call])


@pytest.mark.parametrize("binding", ["pycuda"], indirect=True)
def test_a_context_that_cannot_be_pushed_is_told(on_double, machine):
    machine.fail("push", error=ECC)
    with pytest.raises(DeviceError, match="no work is possible on GPU 0"):
        on_double.active().__enter__()


@pytest.mark.parametrize("binding", ["pycuda"], indirect=True)
@pytest.mark.parametrize(
    ("take", "call"),
    [
        (lambda device: device.allocate(10), "free"),
        (lambda device: device.pinned(10), "free_pinned"),
        (lambda device: device.create_stream(), "destroy_stream"),
    ],
)
def test_what_was_given_back_is_refused(on_double, take, call):
    with on_double.active():
        taken = take(on_double)
        getattr(on_double, call)(taken)
        with pytest.raises(DeviceError, match="of this device and not yet given back"):
            getattr(on_double, call)(taken)


def test_what_work_still_uses_goes_back_after_it(on_double, machine):
    with on_double.active():
        buffers = Buffers(on_double)
        stream, there, host = buffers.stream(), buffers.memory(9), buffers.pinned(9)
        on_double.upload(there, host.array, stream)
    del buffers, host
    assert not machine.live()


def test_the_message_of_an_unanswered_question_says_so(on_double, machine):
    machine.fail("allocate")
    machine.fail("memory", error=ECC)
    with pytest.raises(DeviceMemoryError, match="it does not say how much is free"):
        one_frame(on_double)
