"""What the protocol promises, on every way to a GPU that there is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fuseg.cuda import launch
from fuseg.errors import ArgumentError, BackendError, LayoutError

SIZES = [1, 255, 4096, 100_001]


def test_the_facts_are_those_of_a_gpu(device):
    facts = device.properties
    assert facts.name
    major, minor = facts.capability
    assert 5 <= major < 20
    assert 0 <= minor < 10
    assert facts.memory_bytes > 1 << 20
    assert isinstance(facts.integrated, bool)
    assert [n.isdigit() for n in facts.driver.split(".")] == [True, True]


@pytest.mark.parametrize("size", SIZES)
def test_bytes_come_back_as_they_were_sent(device, size):
    with device.active():
        there, stream = device.allocate(size), device.create_stream()
        given, got = device.pinned(size), device.pinned(size)
        given.array[:] = np.random.default_rng(size).integers(0, 256, size)
        got.array[:] = 7
        device.upload(there, given.array, stream)
        device.download(got.array, there, stream)
        device.synchronize(stream)
        np.testing.assert_array_equal(got.array, given.array)
        device.free(there)
        device.free_pinned(given)
        device.free_pinned(got)
        device.destroy_stream(stream)


def test_parts_and_other_types_are_copied_too(device):
    with device.active():
        there, stream = device.allocate(4000), device.create_stream()
        given, got = device.pinned(4000), device.pinned(4000)
        frame = given.array.view(np.uint16).reshape(40, 50)
        frame[...] = np.arange(2000).reshape(40, 50)
        got.array[:] = 255
        device.upload(there + 200, frame[10:20], stream)
        device.download(got.array.view(np.uint16)[:500], there + 200, stream)
        device.synchronize(stream)
        np.testing.assert_array_equal(
            got.array.view(np.uint16)[:500], np.arange(500, 1000)
        )
        assert (got.array[1000:] == 255).all()
        device.free(there)
        device.free_pinned(given)
        device.free_pinned(got)
        device.destroy_stream(stream)


def test_a_copy_on_the_device_takes_the_bytes_it_was_told(device):
    with device.active():
        first, second = device.allocate(1000), device.allocate(1000)
        stream, host = device.create_stream(), device.pinned(1000)
        host.array[:] = np.arange(1000) % 251
        device.upload(first, host.array, stream)
        device.synchronize(stream)
        host.array[:] = 9
        device.upload(second, host.array, stream)
        device.copy(second + 100, first + 300, 50, stream)
        device.synchronize(stream)
        device.download(host.array, second, stream)
        device.synchronize(stream)
        wanted = np.full(1000, 9)
        wanted[100:150] = np.arange(300, 350) % 251
        np.testing.assert_array_equal(host.array, wanted)
        device.free(first)
        device.free(second)
        device.free_pinned(host)
        device.destroy_stream(stream)


def test_addresses_are_multiples_of_256(device):
    with device.active():
        addresses = [device.allocate(size) for size in SIZES]
        assert not any(address % 256 for address in addresses)
        for address in addresses:
            device.free(address)


def test_pinned_memory_is_an_array_of_bytes_that_the_gpu_sees(device):
    with device.active():
        pinned = device.pinned(1000)
        assert pinned.array.shape == (1000,)
        assert pinned.array.dtype == np.uint8
        assert pinned.array.flags.writeable
        assert pinned.address > 0
        device.free_pinned(pinned)


def test_memory_that_is_taken_is_not_free_until_it_is_given_back(device):
    size = 24 << 20
    with device.active():
        before, total = device.memory()
        assert 0 < before <= total
        address = device.allocate(size)
        assert device.memory()[0] <= before - size
        device.free(address)
        assert device.memory()[0] >= before - (4 << 20)  # others may take some
        assert device.memory()[1] == total


def test_another_thread_may_use_it(device):
    with device.active():
        there, stream = device.allocate(64), device.create_stream()
        host = device.pinned(64)
    host.array[:] = 3

    def work():
        with device.active():
            device.upload(there, host.array, stream)
            device.synchronize(stream)
            device.free(there)
            device.free_pinned(host)
            device.destroy_stream(stream)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def test_active_may_be_nested_and_leaves_through_an_error(device):
    with pytest.raises(KeyError), device.active(), device.active():
        raise KeyError
    with device.active(), device.active():
        pass
    with device.active():
        device.memory()


@pytest.mark.parametrize("size", [0, -1, 1.5, 1 << 60])
def test_a_size_that_is_none_is_refused(device, size):
    with device.active():
        for take in (device.allocate, device.pinned):
            with pytest.raises(ArgumentError, match="size must be a whole number"):
                take(size)


def test_strided_views_are_refused(device):
    with device.active():
        host, there = device.pinned(100), device.allocate(100)
        stream = device.create_stream()
        with pytest.raises(LayoutError, match="source must be C-contiguous"):
            device.upload(there, host.array[::2], stream)
        with pytest.raises(LayoutError, match="to must be C-contiguous"):
            device.download(host.array[::2], there, stream)
        device.free_pinned(host)
        device.free(there)
        device.destroy_stream(stream)


def test_the_kernels_know_the_streams(device):
    with device.active():
        streams = [device.create_stream() for _ in range(2)]
        try:
            kernels = launch.kernels()
        except BackendError as err:
            pytest.skip(str(err))
        kernels.stream_wait(*streams)
        for stream in reversed(streams):
            device.synchronize(stream)
            device.destroy_stream(stream)
