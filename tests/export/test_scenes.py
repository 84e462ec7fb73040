from __future__ import annotations

import time

import numpy as np
import pytest

from fuseg.errors import ArgumentError
from fuseg_export.scenes import (
    CLASSES,
    HELD_OUT_SEEDS,
    IGNORE,
    TRAIN_SEEDS,
    classes,
    render,
    render_many,
)
from fuseg_export.scenes.materials import Material
from fuseg_export.scenes.raycast import cast
from fuseg_export.scenes.render import capture
from fuseg_export.scenes.sensors import MAX_DEPTH_M, Exposure
from fuseg_export.scenes.shade import shade
from fuseg_export.scenes.world import (
    Ball,
    Box,
    Camera,
    Cylinder,
    Finish,
    Light,
    Patch,
    Room,
    World,
)

GREY = Material("plain", (0.4, 0.4, 0.4), (0.4, 0.4, 0.4))
RED = Material("plain", (0.6, 0.02, 0.02), (0.6, 0.02, 0.02))
SIZE = (90, 120)


def hand_made(*things, size=(5.0, 4.0, 2.5), pitch=0.0, patches=(), **settings):
    """A grey room; the camera stands at x = 1, 1.2 m up, and looks along +x."""
    wall, floor = Finish(GREY, classes.WALL), Finish(GREY, classes.FLOOR)
    east = Finish(GREY, classes.WALL, patches=patches)
    room = Room(size, (wall, east, wall, wall, floor, Finish(GREY, classes.CEILING)))
    camera = Camera((1.0, 2.0, 1.2), 0.0, pitch, 0.0, np.radians(66.0))
    lights = (Light((1.5, 1.0, 2.3), (2.0, 2.0, 2.0)),)
    return World(room, things, lights, camera, **settings)


def seen(world, seed=0):
    return capture(world, Exposure(), *SIZE, np.random.default_rng(seed))


def column_and_row(world):
    """Offsets of the pixel centres at depth 1 m: right and down, metres."""
    height, width = SIZE
    half = np.tan(world.camera.fov / 2)
    across = half * ((np.arange(width) + 0.5) / (width / 2) - 1)
    down = half * height / width * ((np.arange(height) + 0.5) / (height / 2) - 1)
    return across[None, :], down[:, None]


@pytest.fixture(scope="module")
def frames():
    return render_many(range(40), 120, 160)


@pytest.mark.parametrize("size", [(8, 8), (37, 53), (120, 160)])
def test_a_scene_is_color_depth_and_labels_of_one_size(size):
    scene = render(1, *size)
    assert (scene.color.dtype, scene.color.shape) == (np.uint8, (*size, 3))
    assert (scene.depth.dtype, scene.depth.shape) == (np.uint16, size)
    assert (scene.labels.dtype, scene.labels.shape) == (np.uint8, size)
    assert scene.color.flags.c_contiguous


def test_the_default_size_is_240_by_320():
    assert render(0).labels.shape == (240, 320)


def test_the_same_seed_gives_the_same_bytes():
    one, two = render(7, 61, 83), render(7, 61, 83)
    assert one.color.tobytes() == two.color.tobytes()
    assert one.depth.tobytes() == two.depth.tobytes()
    assert one.labels.tobytes() == two.labels.tobytes()


def test_other_seeds_give_other_rooms(frames):
    color, depth, labels = frames
    for part in (color, depth, labels):
        assert len({frame.tobytes() for frame in part}) == len(part)


@pytest.mark.parametrize("seed", range(6))
def test_the_room_does_not_depend_on_the_size(seed):
    small, large = render(seed, 120, 160), render(seed, 360, 480)
    # With a factor of three, pixel centres of the small frame are pixel centres.
    assert np.mean(small.labels == large.labels[1::3, 1::3]) >= 0.99
    doubled = render(seed, 240, 320)
    assert np.mean(small.labels == doubled.labels[::2, ::2]) >= 0.95
    both = (small.depth > 0) & (large.depth[1::3, 1::3] > 0)
    differ = np.abs(small.depth.astype(int) - large.depth[1::3, 1::3])[both]
    assert np.median(differ) < 40
    shift = small.color.mean((0, 1)) - large.color.mean((0, 1))
    assert np.abs(shift).max() < 3.0


def test_every_class_is_in_a_third_of_the_frames(frames):
    labels = frames[2].reshape(len(frames[2]), -1)
    for index, (name, _) in enumerate(CLASSES):
        share = np.mean((labels == index).any(axis=1))
        assert share >= 0.35, f"{name} is in {share:.0%} of the frames"


def test_labels_are_classes_or_ignore(frames):
    assert set(np.unique(frames[2])) <= {*range(len(CLASSES)), IGNORE}


def test_ignore_occurs_and_stays_rare(frames):
    assert 0 < np.mean(frames[2] == IGNORE) < 0.03


def test_classes_have_ten_names_and_ten_colors():
    assert len(CLASSES) == len({c.name for c in CLASSES}) == 10
    assert CLASSES[classes.BALL].name == "ball"


def lab(colors):
    """CIELAB (D65) of sRGB colours, 0 to 255: equal distances look about equal."""
    srgb = np.asarray(colors, np.float64) / 255
    linear = np.where(srgb > 0.04045, ((srgb + 0.055) / 1.055) ** 2.4, srgb / 12.92)
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    x, y, z = np.moveaxis(linear @ np.transpose(to_xyz) / (0.95047, 1, 1.08883), -1, 0)
    f = [np.where(v > 0.008856, np.cbrt(v), 7.787 * v + 16 / 116) for v in (x, y, z)]
    parts = (116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2]))
    return np.stack(parts, axis=-1)


def test_the_palette_differs_from_itself_and_from_what_it_paints(frames):
    palette = lab([c.color for c in CLASSES])
    apart = np.linalg.norm(palette[:, None] - palette[None], axis=-1)
    assert apart[~np.eye(10, dtype=bool)].min() > 35
    color, _, truth = frames
    for label, (name, _) in enumerate(CLASSES):
        seen = lab(color[truth == label])
        assert np.median(np.linalg.norm(seen - palette[label], axis=1)) > 50, name


def test_training_and_held_out_seeds_are_disjoint():
    assert not set(TRAIN_SEEDS) & set(HELD_OUT_SEEDS)


def test_some_readings_are_missing_in_every_frame_but_few(frames):
    missing = np.mean(frames[1] == 0, axis=(1, 2))
    assert missing.min() > 0
    assert missing.mean() < 0.15


def test_no_reading_is_nearer_or_farther_than_the_sensor_reaches(frames):
    readings = frames[1][frames[1] > 0]
    assert readings.min() > 280
    assert readings.max() < 1000 * MAX_DEPTH_M + 400


def test_depth_of_the_wall_ahead_is_its_distance_along_the_axis():
    world = hand_made()
    scene = seen(world)
    ahead = (np.abs(column_and_row(world)[1]) < 0.2) & np.ones(SIZE, bool)
    ahead &= np.abs(column_and_row(world)[0]) < 0.4
    readings = scene.depth[ahead].astype(float)
    readings = readings[readings > 0]
    assert (scene.labels[ahead] == classes.WALL).all()
    # 3 mm at 1 m and growing with the square: 48 mm at 4 m.
    assert abs(readings.mean() - 4000) < 6
    assert 36 < readings.std() < 64


def test_depth_of_the_floor_follows_the_plane():
    world = hand_made(pitch=-0.5)
    scene = seen(world)
    _, down = column_and_row(world)
    # Forward is (cos p, sin p) in x and z; one metre of depth drops by this much.
    drop = np.sin(0.5) + down * np.cos(0.5)
    truth = np.broadcast_to(1.2 / drop, SIZE)
    there = (scene.labels == classes.FLOOR) & (scene.depth > 0)
    error = scene.depth[there] / 1000.0 - truth[there]
    assert there.mean() > 0.5
    assert np.all(np.abs(error) < 6 * 0.0033 * truth[there] ** 2)
    assert abs(error.mean()) < 0.001


def test_nothing_is_read_beyond_the_range():
    scene = seen(hand_made(size=(9.0, 4.0, 2.5)))
    assert scene.depth[SIZE[0] // 2, SIZE[1] // 2] == 0
    assert scene.labels[SIZE[0] // 2, SIZE[1] // 2] == classes.WALL


def test_nothing_is_read_closer_than_the_range():
    box = Box((1.35, 2.0, 1.2), (0.1, 1.0, 1.0), 0.0, Finish(GREY, classes.CRATE))
    scene = seen(hand_made(box))
    assert (scene.labels == classes.CRATE).all()
    assert not scene.depth.any()


def test_a_box_is_hit_on_its_near_side():
    box = Box((3.0, 2.0, 1.2), (0.5, 0.4, 0.3), 0.0, Finish(GREY, classes.CRATE))
    world = hand_made(box)
    hits = cast(world, *SIZE)
    across, down = column_and_row(world)
    covered = (np.abs(across) < 0.4 / 1.5) & (np.abs(down) < 0.3 / 1.5)
    np.testing.assert_array_equal(hits.surface == 6, covered)
    np.testing.assert_allclose(hits.depth[covered], 1.5, rtol=1e-5)


def test_a_box_turned_by_a_right_angle_swaps_its_sides():
    finish = Finish(GREY, classes.CRATE)
    turned = Box((3.0, 2.0, 1.2), (0.4, 0.5, 0.3), np.pi / 2, finish)
    plain = Box((3.0, 2.0, 1.2), (0.5, 0.4, 0.3), 0.0, finish)
    one, two = (cast(hand_made(box), *SIZE).depth for box in (turned, plain))
    np.testing.assert_allclose(one, two, rtol=1e-4)


def test_a_ball_is_hit_where_the_quadratic_says():
    world = hand_made(Ball((3.0, 2.1, 1.3), 0.4, Finish(GREY, classes.BALL)))
    hits = cast(world, *SIZE)
    across, down = column_and_row(world)
    right, up = -0.1, 0.1
    a = 1 + across**2 + down**2
    b = 2.0 + across * right - down * up
    root = b**2 - a * (2.0**2 + right**2 + up**2 - 0.4**2)
    truth = np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
    there = hits.surface == 6
    np.testing.assert_array_equal(there, np.isfinite(truth))
    np.testing.assert_allclose(hits.depth[there], truth[there], rtol=1e-3)


def test_a_cylinder_has_a_round_side_and_a_flat_top():
    finish = Finish(GREY, classes.IGNORE)
    world = hand_made(Cylinder((3.0, 2.0, 0.4), 0.3, 0.4, finish), pitch=-0.4)
    hits = cast(world, *SIZE)
    _, down = column_and_row(world)
    top = hits.surface == 6 + 5
    drop = np.broadcast_to(np.sin(0.4) + down * np.cos(0.4), SIZE)
    assert (hits.surface == 6).any()
    np.testing.assert_allclose(hits.depth[top], 0.4 / drop[top], rtol=1e-4)


def test_a_missing_reading_lies_on_every_outline():
    box = Box((3.0, 2.0, 1.2), (0.5, 0.4, 0.3), 0.0, Finish(GREY, classes.CRATE))
    scene = seen(hand_made(box))
    inside = scene.labels == classes.CRATE
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    left = scene.depth[rows, columns[0] - 1]
    above = scene.depth[rows[0] - 1, columns]
    assert np.mean(left == 0) > 0.6
    assert np.mean(above == 0) > 0.6
    assert np.mean(scene.depth[inside] == 0) < 0.05


def test_a_surface_that_swallows_light_gives_holes():
    half = (0.5, 0.4, 0.3)
    bright, dark = (
        Box((3.0, 2.0, 1.2), half, 0.0, Finish(GREY, classes.BIN, depth_loss=loss))
        for loss in (0.0, 0.5)
    )
    lost = []
    for box in (bright, dark):
        scene = seen(hand_made(box))
        lost.append(np.mean(scene.depth[scene.labels == classes.BIN] == 0))
    assert lost[0] < 0.05
    assert lost[1] > 0.15


def test_a_patch_changes_color_and_class_and_leaves_depth_alone():
    poster = Patch((2.0, 1.2), (0.5, 0.4), material=RED, label=classes.POSTER)
    bare, covered = seen(hand_made()), seen(hand_made(patches=(poster,)))
    changed = covered.labels == classes.POSTER
    assert changed.any()
    np.testing.assert_array_equal(covered.depth, bare.depth)
    red, green, _ = covered.color[changed].mean(0)
    assert red > green + 50


def test_a_platform_top_looks_like_the_floor():
    checks = Material("checks", (0.2, 0.2, 0.2), (0.6, 0.6, 0.6), 0.5)
    wall, floor = Finish(GREY, classes.WALL), Finish(checks, classes.FLOOR)
    room = Room((5.0, 4.0, 2.5), (wall, wall, wall, wall, floor, wall))
    camera = Camera((1.0, 2.0, 1.2), 0.0, -0.5, 0.0, np.radians(66.0))
    finish = Finish(checks, classes.PLATFORM)
    top = Box((2.5, 2.0, 0.005), (9.0, 9.0, 0.005), 0.3, finish, continues_room=True)
    bare, covered = (
        shade(world, cast(world, *SIZE)).radiance
        for world in (World(room, t, (), camera) for t in ((), (top,)))
    )
    assert np.mean(np.abs(bare - covered) > 0.02) < 0.1


def test_things_cast_shadows():
    screen = Box((3.0, 2.0, 1.2), (0.3, 0.3, 0.1), 0.0, Finish(GREY, classes.CRATE))
    lamp = (Light((3.0, 2.0, 2.4), (2.0, 2.0, 2.0)),)
    camera = Camera((1.0, 2.0, 1.0), 0.0, -0.4, 0.0, np.radians(66.0))
    wall = Finish(GREY, classes.WALL)
    room = Room((5.0, 4.0, 2.5), (wall,) * 4 + (Finish(GREY, classes.FLOOR), wall))
    free, shaded = (
        shade(world, cast(world, *SIZE))
        for world in (World(room, t, lamp, camera) for t in ((), (screen,)))
    )
    floor = (free.labels == classes.FLOOR) & (shaded.labels == classes.FLOOR)
    ratio = shaded.radiance[0][floor] / free.radiance[0][floor]
    assert ratio.min() < 0.8
    assert np.mean(ratio > 0.99) > 0.5


def test_exposure_scales_the_light_until_it_clips():
    world = hand_made()
    dim, normal, glaring = (
        capture(world, Exposure(gain=gain), *SIZE, np.random.default_rng(0)).color
        for gain in (0.35, 1.0, 6.0)
    )
    # Gamma 2: a square root between light and code.
    assert dim.mean() / normal.mean() == pytest.approx(0.35**0.5, rel=0.03)
    assert np.mean(glaring == 255) > 0.5


def test_blur_softens_color_and_leaves_depth_and_labels_alone():
    box = Box((3.0, 2.0, 1.2), (0.5, 0.4, 0.3), 0.0, Finish(RED, classes.CRATE))
    sharp, blurred = (
        capture(hand_made(box), Exposure(blur=b), *SIZE, np.random.default_rng(0))
        for b in ((0.0, 0.0), (0.06, 0.0))
    )
    step_sharp, step_blurred = (
        np.abs(np.diff(s.color[SIZE[0] // 2, :, 1].astype(int))).max()
        for s in (sharp, blurred)
    )
    assert step_blurred < 0.7 * step_sharp
    np.testing.assert_array_equal(sharp.depth, blurred.depth)
    np.testing.assert_array_equal(sharp.labels, blurred.labels)


def test_render_many_is_render_for_each_seed():
    color, depth, labels = render_many([5, 3], 24, 32)
    for index, seed in enumerate((5, 3)):
        scene = render(seed, 24, 32)
        np.testing.assert_array_equal(color[index], scene.color)
        np.testing.assert_array_equal(depth[index], scene.depth)
        np.testing.assert_array_equal(labels[index], scene.labels)


def test_render_many_of_nothing_is_empty():
    color, depth, labels = render_many([], 24, 32)
    assert color.shape == (0, 24, 32, 3)
    assert depth.shape == labels.shape == (0, 24, 32)


def test_workers_change_nothing_but_the_time():
    alone, shared = (render_many(range(3), 24, 32, workers=n) for n in (1, 2))
    for one, two in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((-1, 24, 32), "seed must be 0 or more, got -1."),
        ((0, 7, 32), "height must be at least 8, got 7."),
        ((0, 24, 0), "width must be at least 8, got 0."),
    ],
)
def test_a_negative_seed_or_a_sliver_is_refused(arguments, sentence):
    with pytest.raises(ArgumentError) as caught:
        render(*arguments)
    assert str(caught.value) == sentence
    with pytest.raises(ArgumentError):
        render_many([3, arguments[0]], *arguments[1:])


def test_no_workers_are_refused():
    with pytest.raises(ArgumentError, match=r"^workers must be at least 1, got 0\.$"):
        render_many([0], 24, 32, workers=0)


@pytest.mark.slow
def test_ten_frames_a_second_on_one_core():
    render(0)
    start = time.process_time()
    for seed in range(20):
        render(seed)
    assert 20 / (time.process_time() - start) >= 10


def test_what_is_painted_is_seen_and_not_measured():
    block = Box((3.0, 2.0, 0.5), (0.4, 0.4, 0.5), 0.3, Finish(RED, classes.PLATFORM))
    plain, real = hand_made(), hand_made(block)
    painted = hand_made(painted=(block,))
    a, b, c = seen(plain), seen(real), seen(painted)
    np.testing.assert_array_equal(c.color, b.color)
    np.testing.assert_array_equal(c.depth, a.depth)
    np.testing.assert_array_equal(c.labels, a.labels)


def test_paint_is_flat_behind_things_and_covers_what_lies_flat():
    far = Box((4.0, 2.0, 1.0), (0.2, 1.0, 1.0), 0.0, Finish(GREY, classes.PILLAR))
    poster = Patch((2.0, 1.0), (0.8, 0.8), label=classes.POSTER, material=RED)
    near = Box((2.2, 2.0, 1.0), (0.1, 0.1, 1.0), 0.0, Finish(RED, classes.CRATE))
    with_paint = hand_made(near, painted=(far,), patches=(poster,))
    shown, labels = seen(with_paint), seen(hand_made(near, patches=(poster,))).labels
    crate = labels == classes.CRATE
    assert crate.any()
    np.testing.assert_array_equal(shown.labels == classes.CRATE, crate)
    # The painted pillar hides the poster: there is wall, and nothing stands out of it.
    assert (labels == classes.POSTER).any()
    assert not np.isin(shown.labels, (classes.POSTER, classes.PILLAR)).any()
