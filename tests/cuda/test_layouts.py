"""TensorRT's layouts on the GPU: the CPU's result rearranged, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from fuseg import ops


class Shifted:
    """The elements from the first-th on of a flat array on the GPU."""

    def __init__(self, kept, shape, first, strides=None):
        self.kept, self.shape, self.first, self.strides = kept, shape, first, strides

    @property
    def __cuda_array_interface__(self):
        found = dict(self.kept.__cuda_array_interface__)
        item = np.dtype(found["typestr"]).itemsize
        pointer = found["data"][0] + self.first * item
        found |= {"data": (pointer, False), "shape": self.shape}
        return found | {"strides": self.strides}


def channels_of(tensor):
    """(C, h, w) of a tensor whose channels lie in groups, (C / 4, h, w, 4)."""
    return tensor.transpose(0, 3, 1, 2).reshape(-1, *tensor.shape[1:3])


def noise(rng, count, dtype):
    """Elements of any bits."""
    return rng.integers(0, 256, count * np.dtype(dtype).itemsize, np.uint8).view(dtype)


def far(got, wanted):
    """By how many steps of their type elements are apart."""
    if got.dtype == np.int8:
        return np.abs(got.astype(int) - wanted)
    return np.abs(got.astype(np.float32) - wanted) / np.spacing(np.abs(wanted))


HALF = {"dtype": np.float16}
CHW4_SIZES = [(1, 1), (5, 7), (33, 41), (24, 64), (16, 130)]


@pytest.mark.parametrize("first", [0, 1, 2, 3])
@pytest.mark.parametrize("channel", range(6))
@pytest.mark.parametrize("form", [{"dtype": np.int8, "out_scale": 0.02}, HALF])
def test_pack_color_in_chw4(gpu, rng, form, channel, first):
    frame = rng.integers(0, 256, (60, 70, 3), dtype=np.uint8)
    for size in CHW4_SIZES:
        for how in (
            {"filter": "bilinear", "rotate": 90, "fit": "letterbox", "fill": 0.5},
            {"filter": "nearest"},
            {"filter": "bilinear-antialias"},
        ):
            words = {"size": size, "scale": 0.01, **form}
            wanted = ops.pack_color(frame, **words, **how)
            pack = ops.PackColor(layout="chw4", channel=channel, **words, **how)
            shape = (3, *size, 4)
            before = noise(rng, np.prod(shape) + first, form["dtype"])
            kept = gpu.put(before)
            pack(gpu.put(frame), Shifted(kept, shape, first))
            after = gpu.get(kept)
            np.testing.assert_array_equal(after[:first], before[:first])
            got = channels_of(after[first:].reshape(shape))
            stays = channels_of(before[first:].reshape(shape))
            own = slice(channel, channel + 3)
            np.testing.assert_array_equal(
                np.delete(got, own, axis=0), np.delete(stays, own, axis=0)
            )
            off = far(got[own], wanted)
            assert off.max() <= (1 if how["filter"] != "nearest" else 0)
            assert off.sum() <= 1 + 2e-3 * off.size


@pytest.mark.parametrize("channel", range(6))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("form", [{"dtype": np.int8}, HALF])
def test_pack_depth_in_chw4(gpu, rng, poison, form, dtype, channel):
    frame = (rng.random((60, 70)) * 250).astype(dtype)
    frame[rng.random(frame.shape) < 0.2] = 0
    for size in CHW4_SIZES:
        for how in ({"rotate": 270, "fit": "letterbox"}, {"filter": "bilinear"}):
            words = {"size": size, "fill": -1, "mean": 3, **form, **how}
            flags = poison(size, np.uint8)
            wanted, _ = ops.pack_depth(frame, valid=flags, **words)
            chw4 = {"layout": "chw4", "channel": channel}
            pack = ops.PackDepth(dtype, **words, **chw4)
            shape = (2, *size, 4)
            before = noise(rng, np.prod(shape), form["dtype"]).reshape(shape)
            out, valid = gpu.put(before), gpu.put(poison(size, np.uint8))
            assert pack(gpu.put(frame), out, valid) == -1
            np.testing.assert_array_equal(gpu.get(valid), flags)
            got = channels_of(gpu.get(out))
            np.testing.assert_array_equal(
                np.delete(got, channel, axis=0),
                np.delete(channels_of(before), channel, axis=0),
            )
            off = far(got[channel], wanted)
            assert off.max() <= (1 if "filter" in how else 0)


@pytest.mark.parametrize("gap", [0, 1, 4])
@pytest.mark.parametrize("first", [0, 1, 2, 4])
def test_pixels_of_four_bytes_are_read_at_any_address(gpu, rng, poison, first, gap):
    """At once where they lie at multiples of four; elsewhere a GPU would trap."""
    height, width = 37, 53
    pitch = 4 * width + gap
    kept = rng.integers(0, 256, first + height * pitch, dtype=np.uint8)
    rows = kept[first:].reshape(height, pitch)[:, : 4 * width]
    frame = np.ascontiguousarray(rows).reshape(height, width, 4)
    for filter in ("nearest", "bilinear", "bilinear-antialias"):
        words = {"size": (20, 31), "channels": "BGRA", "filter": filter}
        wanted = ops.pack_color(frame, **words)
        out = gpu.put(poison(wanted.shape, np.float32))
        strides = (pitch, 4, 1)
        ops.pack_color(
            Shifted(gpu.put(kept), frame.shape, first, strides), out=out, **words
        )
        np.testing.assert_allclose(gpu.get(out), wanted, rtol=0, atol=1e-4)


def test_colour_and_depth_share_a_group_of_chw4(gpu, rng, poison):
    color = rng.integers(0, 256, (60, 70, 3), dtype=np.uint8)
    depth = rng.integers(1, 250, (60, 70), dtype=np.uint16)
    words = {"size": (33, 41), "dtype": np.int8, "filter": "nearest"}
    out = gpu.put(poison((1, 33, 41, 4), np.int8))
    ops.pack_color(gpu.put(color), out=out, layout="chw4", scale=0.4, **words)
    given = {"layout": "chw4", "channel": 3, "scale": 0.4}
    ops.pack_depth(gpu.put(depth), out=out, **given, **words)
    got = channels_of(gpu.get(out))
    np.testing.assert_array_equal(got[:3], ops.pack_color(color, scale=0.4, **words))
    np.testing.assert_array_equal(got[3], ops.pack_depth(depth, scale=0.4, **words)[0])
