from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fuseg.errors import ArgumentError
from fuseg_export.scenes import HELD_OUT_SEEDS, TRAIN_SEEDS, frame_cache
from fuseg_export.scenes.sensors import MAX_DEPTH_M
from fuseg_export.scenes.things import (
    COLORS,
    KINDS,
    MAX_THINGS,
    PLACES,
    VALIDATION_SEEDS,
    boxes_of,
    capture_named,
    draw_named_exposure,
    make_named_world,
    render_many_things,
    render_things,
    things_of,
)

SIZE = (96, 128)
RED, GREEN, BLUE, YELLOW = range(4)


@pytest.fixture(scope="module")
def frames():
    return render_many_things(range(60), *SIZE)


def rows_of(frames):
    """Frame, number of the thing, kind and colour of all that have 40 pixels."""
    for index in range(len(frames)):
        for number, (kind, color, _) in enumerate(frames.attributes[index], 1):
            if kind >= 0 and np.sum(frames.instances[index] == number) >= 40:
                yield index, number, kind, color


@pytest.mark.parametrize("size", [(8, 8), (37, 53), SIZE])
def test_a_scene_is_color_depth_and_instances_of_one_size(size):
    scene = render_things(1, *size)
    assert (scene.color.dtype, scene.color.shape) == (np.uint8, (*size, 3))
    assert (scene.depth.dtype, scene.depth.shape) == (np.uint16, size)
    assert (scene.instances.dtype, scene.instances.shape) == (np.uint8, size)
    assert scene.instances.max() <= len(scene.attributes) <= MAX_THINGS


def test_the_same_seed_gives_the_same_frame_alone_and_among_many(frames):
    alone, again = render_things(7, *SIZE), render_things(7, *SIZE)
    for name in ("color", "depth", "instances"):
        assert getattr(alone, name).tobytes() == getattr(again, name).tobytes()
        assert getattr(alone, name).tobytes() == getattr(frames, name)[7].tobytes()
    assert alone.attributes == again.attributes
    there = [tuple(row) for row in frames.attributes[7] if row[0] >= 0]
    assert there == [tuple(int(v) for v in row) for row in alone.attributes]
    assert alone.place == again.place == frames.places[7]


def test_other_seeds_give_other_rooms(frames):
    for part in (frames.color, frames.depth, frames.instances):
        assert len({frame.tobytes() for frame in part}) == len(part)


def test_every_kind_color_place_and_temperature_is_common(frames):
    there = frames.attributes[frames.attributes[..., 0] >= 0]
    for column, names in ((0, KINDS), (1, COLORS), (2, ("cold", "hot"))):
        shares = np.bincount(there[:, column], minlength=len(names)) / len(there)
        assert shares.min() > 0.6 / len(names), dict(zip(names, shares, strict=True))
    assert np.bincount(frames.places, minlength=len(PLACES)).min() >= 10


def test_color_is_aligned_with_the_instances(frames):
    """The most of each colour's channel, by hand: what red things are must be red."""
    seen = {color: [] for color in range(4)}
    for index, number, _, color in rows_of(frames):
        pixels = frames.color[index][frames.instances[index] == number]
        r, g, b = pixels.astype(int).T
        named = {
            RED: (r > g + 20) & (r > b + 20),
            GREEN: (g > r + 20) & (g > b + 20),
            BLUE: (b > r + 20) & (b > g),
            YELLOW: (r > b + 20) & (g > b + 20),
        }
        seen[color].append(np.mean(named[color]))
    for color, shares in seen.items():
        assert len(shares) >= 20
        assert np.mean(shares) > 0.85, COLORS[color]


def test_depth_is_aligned_with_the_instances(frames):
    """A thing stands in front of what is beside it, and is not farther than 6 m."""
    nearer = []
    for index, number, _, _ in rows_of(frames):
        mask, depth = frames.instances[index] == number, frames.depth[index]
        own = depth[mask & (depth > 0)]
        beside = np.zeros_like(mask)
        beside[:, 6:] |= mask[:, :-6]
        beside[:, :-6] |= mask[:, 6:]
        other = depth[beside & (frames.instances[index] == 0) & (depth > 0)]
        if len(own) and len(other):
            nearer.append(np.median(own) < np.median(other))
            assert own.max() <= 1000 * MAX_DEPTH_M + 50
    assert len(nearer) > 100
    assert np.mean(nearer) > 0.9


def test_a_posts_box_is_higher_than_wide_and_a_slabs_wider_than_high(frames):
    shapes = {"post": [], "slab": []}
    for index, number, kind, _ in rows_of(frames):
        if KINDS[kind] in shapes:
            rows, columns = np.nonzero(frames.instances[index] == number)
            shapes[KINDS[kind]].append(np.ptp(rows) > np.ptp(columns))
    assert np.mean(shapes["post"]) > 0.9
    assert np.mean(shapes["slab"]) < 0.1


def test_labels_are_the_kinds_of_the_instances(frames):
    for index in range(10):
        wanted = np.zeros(SIZE, np.uint8)
        for row in range(SIZE[0]):
            for column in range(SIZE[1]):
                number = frames.instances[index, row, column]
                if number:
                    wanted[row, column] = frames.attributes[index, number - 1, 0] + 1
        np.testing.assert_array_equal(frames.labels(index), wanted)


def test_boxes_hold_all_pixels_of_a_thing_and_touch_it_on_each_side(frames):
    for index in range(10):
        instances = frames.instances[index].tolist()
        wanted = []
        for number in range(1, MAX_THINGS + 1):
            at = [
                (x, y)
                for y, row in enumerate(instances)
                for x, value in enumerate(row)
                if value == number
            ]
            if len(at) >= 20:
                xs, ys = [x for x, _ in at], [y for _, y in at]
                wanted.append((number, min(xs), min(ys), max(xs) + 1, max(ys) + 1))
        assert [tuple(box) for box in boxes_of(frames.instances[index])] == wanted


def test_boxes_of_an_empty_frame_are_none():
    assert boxes_of(np.zeros((4, 5), np.uint8)) == []
    one = np.zeros((4, 5), np.uint8)
    one[3, 4] = 2
    assert boxes_of(one) == []
    assert boxes_of(one, 1) == boxes_of(one, 0) == [(2, 4, 3, 5, 4)]


def test_a_moving_camera_sees_the_same_things():
    named = make_named_world(np.random.default_rng(3))
    exposure = draw_named_exposure(np.random.default_rng(4))
    camera = named.world.camera
    turned = replace(camera, yaw=camera.yaw + 0.1)
    moved = replace(named, world=replace(named.world, camera=turned))
    first, second = (
        capture_named(n, exposure, *SIZE, np.random.default_rng(5))
        for n in (named, moved)
    )
    assert first.attributes == second.attributes
    ahead, behind = boxes_of(first.instances), boxes_of(second.instances)
    both = {box.thing for box in ahead} & {box.thing for box in behind}
    assert both
    for thing in both:  # turned to the left: all moves to the right
        (before,) = (box for box in ahead if box.thing == thing)
        (after,) = (box for box in behind if box.thing == thing)
        assert after.right >= before.right
        assert after.left > before.left or before.left == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((-1,), "seed must be 0 or more, got -1."),
        ((0, 7), "height must be at least 8, got 7."),
        ((0, 8, 7), "width must be at least 8, got 7."),
    ],
)
def test_refuses_what_is_no_scene(arguments, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        render_things(*arguments)
    with pytest.raises(ArgumentError, match=sentence):
        render_many_things([arguments[0]], *arguments[1:])


def test_refuses_no_workers():
    with pytest.raises(ArgumentError, match="workers must be at least 1, got 0"):
        render_many_things([1], workers=0)


def test_no_seed_is_of_two_ranges():
    ranges = [TRAIN_SEEDS, VALIDATION_SEEDS, HELD_OUT_SEEDS]
    assert sum(map(len, ranges)) == len({s for seeds in ranges for s in seeds})


def test_frames_are_rendered_once_until_a_source_changes(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    render = render_things

    def counted(seed, **size):
        made.append(seed)
        return render(seed, **size)

    monkeypatch.setattr("fuseg_export.scenes.things.render.render_things", counted)
    first = things_of(range(2, 4), 16, 24, tmp_path)
    again = things_of(range(2, 4), 16, 24, tmp_path)
    assert made == [2, 3]
    for name in ("color", "depth", "instances", "attributes", "places"):
        assert getattr(again, name).tobytes() == getattr(first, name).tobytes()
    assert again.color[1].tobytes() == render(3, 16, 24).color.tobytes()
    things_of(range(2, 4), 16, 32, tmp_path)
    assert made == [2, 3, 2, 3]
    monkeypatch.setattr(frame_cache, "sources_digest", lambda: "0" * 64)
    things_of(range(2, 4), 16, 24, tmp_path)
    assert made == [2, 3] * 3
