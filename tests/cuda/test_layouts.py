"""TensorRT's layouts on the GPU: the CPU's result rearranged, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from fuseg import ops


def poison(shape, dtype):
    """An array of nonsense."""
    array = np.empty(shape, dtype)
    array.view(np.uint8)[...] = 0xA5
    return array


def scene(rng, shape):
    """Class scores as a network gives them: patches, and some noise."""
    classes, height, width = shape
    coarse = rng.standard_normal((classes, height // 5 + 1, width // 5 + 1)) * 5
    fine = coarse.repeat(5, 1).repeat(5, 2)[:, :height, :width]
    return fine + rng.standard_normal(shape) * 0.1


def tied(rng, shape):
    """Whole numbers: every sum of them is exact."""
    return rng.integers(-2, 3, shape)


def spoiled(rng, shape):
    scores = rng.standard_normal(shape)
    for value in (np.nan, np.inf, -np.inf, 0.0):
        scores[rng.random(shape) < 0.01] = value
    return scores


KINDS = {f.__name__: f for f in (scene, tied, spoiled)}
# Labels that may be others than the CPU's: two classes are as good as equal there.
SHARES = {"scene": 2e-3, "tied": 5e-2, "spoiled": 2e-3}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((5, 9, 11), (72, 88)),
        ((19, 16, 24), (64, 96)),
        ((8, 7, 5), (50, 33)),
        ((1, 6, 6), (48, 48)),
        ((300, 4, 5), (33, 40)),
        ((4, 1, 9), (8, 72)),
        ((9, 9, 1), (72, 8)),
        ((7, 10, 12), (10, 12)),
        ((17, 20, 20), (31, 30)),
        ((2, 2, 2), (65, 129)),
    ],
)
def test_upsample_argmax_in_hwc8(gpu, rng, shape, size, kind):
    classes, height, width = shape
    scores = KINDS[kind](rng, shape).astype(np.float16)
    laid = poison((height, width, -(-classes // 8) * 8), np.float16)
    laid[..., classes:] = rng.choice([np.nan, np.inf, 6e4], laid[..., classes:].shape)
    laid[..., :classes] = scores.transpose(1, 2, 0)
    for align_corners in (False, True):
        how = {"size": size, "align_corners": align_corners}
        sure = poison(size, np.float32)
        wanted = ops.upsample_argmax(scores, confidence=sure, **how)
        label = ops.UpsampleArgmax(shape, np.float16, layout="hwc8", **how)
        out = gpu.put(poison(size, label.dtype))
        assert label(gpu.put(laid), out=out) is out
        assert (gpu.get(out) != wanted).mean() <= SHARES[kind]
        out = gpu.put(poison(size, label.dtype))
        confidence = gpu.put(poison(size, np.float32))
        label(gpu.put(laid), out=out, confidence=confidence)
        assert (gpu.get(out) != wanted).mean() <= SHARES[kind]
        np.testing.assert_allclose(
            gpu.get(confidence), sure, rtol=0, atol=2e-5, equal_nan=True
        )
        planes = gpu.put(poison(size, label.dtype))
        ops.upsample_argmax(gpu.put(scores), out=planes, **how)
        np.testing.assert_array_equal(gpu.get(out), gpu.get(planes))


class Shifted:
    """The elements from the first-th on of a flat array on the GPU."""

    def __init__(self, kept, shape, first):
        self.kept, self.shape, self.first = kept, shape, first

    @property
    def __cuda_array_interface__(self):
        found = dict(self.kept.__cuda_array_interface__)
        item = np.dtype(found["typestr"]).itemsize
        pointer = found["data"][0] + self.first * item
        return found | {"data": (pointer, False), "shape": self.shape, "strides": None}


def channels_of(tensor):
    """(C, h, w) of a tensor whose channels lie in groups, (C / 4, h, w, 4)."""
    return tensor.transpose(0, 3, 1, 2).reshape(-1, *tensor.shape[1:3])


CHW4_SIZES = [(1, 1), (5, 7), (33, 41), (24, 64), (16, 130)]


@pytest.mark.parametrize("first", [0, 1, 2, 3])
@pytest.mark.parametrize("channel", range(6))
def test_pack_color_in_chw4(gpu, rng, channel, first):
    frame = rng.integers(0, 256, (60, 70, 3), dtype=np.uint8)
    for size in CHW4_SIZES:
        for how in (
            {"filter": "bilinear", "rotate": 90, "fit": "letterbox", "fill": 0.5},
            {"filter": "nearest"},
            {"filter": "bilinear-antialias"},
        ):
            words = {"size": size, "dtype": np.int8, "out_scale": 0.02, "scale": 0.01}
            wanted = ops.pack_color(frame, **words, **how)
            pack = ops.PackColor(layout="chw4", channel=channel, **words, **how)
            shape = (3, *size, 4)
            before = rng.integers(-128, 128, np.prod(shape) + first, dtype=np.int8)
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
            off = np.abs(got[own].astype(int) - wanted)
            assert off.max() <= (1 if how["filter"] != "nearest" else 0)
            assert off.sum() <= 1 + 2e-3 * off.size


@pytest.mark.parametrize("channel", range(6))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pack_depth_in_chw4(gpu, rng, dtype, channel):
    frame = (rng.random((60, 70)) * 250).astype(dtype)
    frame[rng.random(frame.shape) < 0.2] = 0
    for size in CHW4_SIZES:
        for how in ({"rotate": 270, "fit": "letterbox"}, {"filter": "bilinear"}):
            words = {"size": size, "dtype": np.int8, "fill": -1, "mean": 3, **how}
            flags = poison(size, np.uint8)
            wanted, _ = ops.pack_depth(frame, valid=flags, **words)
            chw4 = {"layout": "chw4", "channel": channel}
            pack = ops.PackDepth(dtype, **words, **chw4)
            before = rng.integers(-128, 128, (2, *size, 4), dtype=np.int8)
            out, valid = gpu.put(before), gpu.put(poison(size, np.uint8))
            assert pack(gpu.put(frame), out, valid) == -1
            np.testing.assert_array_equal(gpu.get(valid), flags)
            got = channels_of(gpu.get(out))
            np.testing.assert_array_equal(
                np.delete(got, channel, axis=0),
                np.delete(channels_of(before), channel, axis=0),
            )
            off = np.abs(got[channel].astype(int) - wanted)
            assert off.max() <= (1 if "filter" in how else 0)


def test_colour_and_depth_share_a_group_of_chw4(gpu, rng):
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
