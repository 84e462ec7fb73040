from __future__ import annotations

import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from fuseg.dataset.images import read_frame, read_labels, write_labels, write_png
from fuseg.errors import InputFileError

RNG = np.random.default_rng(3)
RGB = RNG.integers(0, 256, (5, 7, 3)).astype(np.uint8)
GRAY = RNG.integers(0, 256, (5, 7)).astype(np.uint8)
DEPTH = RNG.integers(0, 65536, (5, 7)).astype(np.uint16)
METRES = np.where(DEPTH % 3, DEPTH / 1000, np.nan).astype(np.float32)


def png(width, height, bits, kind, rows):
    """A PNG by its specification, for what Pillow cannot write."""

    def chunk(name, body):
        crc = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(width, height, bits, samples, pixels):
    """An uncompressed big-endian TIFF with one strip."""
    per_sample = struct.pack(">3H", bits, bits, bits)
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, samples, 8 if samples == 3 else bits << 16),
        (259, 3, 1, 1 << 16),
        (262, 3, 1, (2 if samples == 3 else 1) << 16),
        (273, 4, 1, 14),
        (277, 3, 1, samples << 16),
        (278, 4, 1, height),
        (279, 4, 1, len(pixels)),
    ]
    start = 14 + len(pixels)
    head = b"MM\0*" + struct.pack(">I", start) + per_sample
    table = b"".join(struct.pack(">HHII", *tag) for tag in tags)
    return head + pixels + struct.pack(">H", len(tags)) + table + bytes(4)


@pytest.fixture
def saved(tmp_path):
    """``saved(name, array or image or bytes, **options)``: the path it lies at."""

    def save(name, content, **options):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif path.suffix == ".npy":
            np.save(path, content)
        else:
            if isinstance(content, np.ndarray):
                content = Image.fromarray(content)
            content.save(path, **options)
        return path

    return save


def refusal(read, *arguments):
    with pytest.raises(InputFileError) as caught:
        read(*arguments)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence.removeprefix(str(arguments[0]))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF", "a.bmp", "a.npy"])
def test_colour_is_read_as_it_was_stored(saved, name):
    path = saved(name, RGB)
    np.testing.assert_array_equal(read_frame(path, "color"), RGB)


def test_lossless_webp_keeps_every_number(saved):
    path = saved("a.webp", RGB, lossless=True)
    np.testing.assert_array_equal(read_frame(path, "color"), RGB)
    path = saved("g.webp", np.dstack([GRAY] * 3), lossless=True)
    np.testing.assert_array_equal(read_frame(path, "thermal"), GRAY)
    np.testing.assert_array_equal(read_labels(path), GRAY)
    lossy = saved("l.webp", np.dstack([GRAY] * 3))
    assert "is a lossy WEBP" in refusal(read_labels, lossy)


def test_a_jpeg_is_read_as_rgb(saved):
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    frame = read_frame(saved("a.jpg", red, quality=95), "color")
    assert frame.dtype == np.uint8
    np.testing.assert_allclose(frame.astype(int), red, atol=6)


def test_an_opaque_alpha_channel_and_a_palette_are_taken_off(saved):
    opaque = np.dstack([RGB, np.full((5, 7), 255, np.uint8)])
    few = Image.fromarray(GRAY // 128).convert("P")
    few.putpalette([10, 20, 30, 40, 50, 60])
    wanted = np.array([[10, 20, 30], [40, 50, 60]], np.uint8)[GRAY // 128]
    np.testing.assert_array_equal(read_frame(saved("a.png", opaque), "color"), RGB)
    np.testing.assert_array_equal(read_frame(saved("p.png", few), "color"), wanted)


def test_transparent_pixels_are_refused(saved):
    seen_through = np.dstack([RGB, np.full((5, 7), 255, np.uint8)])
    seen_through[2, 3, 3] = 254
    sentence = refusal(read_frame, saved("a.png", seen_through), "color")
    assert sentence == (
        " has transparent pixels: if its fourth channel is another sensor's picture "
        "(RGB-T), take only the colours, --plane NAME=RGB (and --plane OTHER=A for "
        "the other sensor)."
    )


def test_the_two_sensors_of_an_rgbt_file_come_apart(saved):
    path = saved("00001D.png", np.dstack([RGB, GRAY]))
    color = read_frame(path, "color", channels="RGB")
    np.testing.assert_array_equal(color, RGB)
    np.testing.assert_array_equal(read_frame(path, "thermal", channels="A"), GRAY)
    green = read_frame(path, "thermal", channels="G")
    np.testing.assert_array_equal(green, RGB[..., 1])
    assert green.flags.c_contiguous
    with pytest.raises(InputFileError, match=r"--plane thermal=A\.$"):
        read_frame(path, "thermal", name="thermal")
    with pytest.raises(InputFileError, match="has no channel A: it has R, G, B"):
        read_frame(saved("rgb.png", RGB), "thermal", channels="A")
    deep = saved("deep.png", png(2, 1, 16, 2, [bytes(12)]))
    with pytest.raises(InputFileError, match="must have 8 bits per channel to take R"):
        read_frame(deep, "thermal", channels="R")


@pytest.mark.parametrize("name", ["t.png", "t.tif", "t.bmp"])
def test_three_equal_channels_are_one_plane(saved, name):
    path = saved(name, np.dstack([GRAY] * 3))
    np.testing.assert_array_equal(read_frame(path, "thermal"), GRAY)
    gray = read_frame(path, "color", channels="GRAY")
    np.testing.assert_array_equal(gray, GRAY)


def test_a_palette_of_grays_is_a_plane_by_its_colours(saved):
    image = Image.fromarray(GRAY).convert("P")
    image.putpalette([v for i in range(255, -1, -1) for v in (i, i, i)])
    frame = read_frame(saved("p.png", image), "thermal")
    np.testing.assert_array_equal(frame, 255 - GRAY)


def test_sixteen_bits_are_no_gray_camera(saved):
    with pytest.raises(InputFileError, match="must be an 8-bit grayscale image"):
        read_frame(saved("d.png", DEPTH), "color", channels="GRAY")


def test_gray_given_for_colour_is_refused_with_what_to_do(saved):
    sentence = refusal(read_frame, saved("a.png", GRAY), "color")
    assert "must be a colour image, got a 8-bit grayscale image: give" in sentence


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", png(2, 1, 16, 2, [bytes(12)])),
        ("a.tif", tiff(2, 1, 16, 3, bytes(12))),
        ("d.png", DEPTH),
    ],
)
def test_sixteen_bits_given_for_colour_are_refused(saved, name, content):
    sentence = refusal(read_frame, saved(name, content), "color")
    assert " must be an 8-bit colour image, got a 16-bit " in sentence


def test_cmyk_is_refused(saved):
    path = saved("a.jpg", Image.fromarray(RGB).convert("CMYK"))
    assert "must be an RGB image, got a 8-bit CMYK image" in refusal(
        read_frame, path, "color"
    )


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("depth.png", DEPTH),
        ("depth.tif", DEPTH),
        ("depth.npy", DEPTH),
        ("gray.png", GRAY),
        ("gray.tiff", GRAY),
        ("metres.tif", METRES),
        ("metres.npy", METRES),
    ],
)
def test_planes_keep_their_numbers_and_dtype(saved, name, array):
    frame = read_frame(saved(name, array), "depth")
    assert frame.dtype == array.dtype
    assert frame.dtype.isnative
    np.testing.assert_array_equal(frame, array)


@pytest.mark.parametrize("name", ["a.tif", "a.npy"])
def test_foreign_byte_order_becomes_the_machines(saved, name):
    swapped = DEPTH.astype(">u2")
    content = tiff(7, 5, 16, 1, swapped.tobytes()) if name == "a.tif" else swapped
    frame = read_frame(saved(name, content), "depth")
    assert frame.dtype == np.uint16
    np.testing.assert_array_equal(frame, DEPTH)


def test_npy_in_fortran_order_comes_out_contiguous(saved):
    frame = read_frame(saved("a.npy", np.asfortranarray(DEPTH)), "depth")
    assert frame.flags.c_contiguous
    np.testing.assert_array_equal(frame, DEPTH)


def test_colour_given_for_a_plane_is_refused(saved):
    sentence = refusal(read_frame, saved("a.png", RGB), "depth")
    assert sentence == (
        " must hold one plane of uint8, uint16 or float32 values, got a 8-bit colour "
        "image: give the sensor's own file, as it was stored, or say which channel it "
        "is, as in --plane NAME=B."
    )


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_planes_below_eight_bits_are_refused_as_readers_scale_them(saved, bits):
    path = saved("a.png", png(2, 1, bits, 0, [b"\x40"]))
    assert f" has {bits} bits per pixel" in refusal(read_frame, path, "thermal")


@pytest.mark.parametrize(
    ("bits", "byte", "ids"),
    [(1, 0b01000000, [0, 1]), (2, 0b01110000, [1, 3]), (4, 0x7F, [7, 15])],
)
def test_labels_below_eight_bits_are_the_files_numbers(saved, bits, byte, ids):
    gray = saved("g.png", png(2, 1, bits, 0, [bytes([byte])]))
    assert read_labels(gray).tolist() == [ids]


def test_a_tiff_whose_numbers_readers_turn_round_is_refused(saved):
    content = bytearray(tiff(7, 5, 8, 1, GRAY.tobytes()))
    assert read_labels(saved("a.tif", bytes(content))).tolist() == GRAY.tolist()
    photometric = content.index(struct.pack(">HHI", 262, 3, 1)) + 8
    content[photometric + 1] = 0
    path = saved("b.tif", bytes(content))
    assert " stores white as 0" in refusal(read_labels, path)
    assert " stores white as 0" in refusal(read_frame, path, "thermal")


@pytest.mark.parametrize("bits", [2, 4])
def test_tiff_labels_below_eight_bits_are_the_files_numbers(saved, bits):
    per_byte = 8 // bits
    ids = RNG.integers(0, 2**bits, (3, 2 * per_byte)).astype(np.uint8)
    packed = np.zeros((3, 2), np.uint8)
    for place in range(per_byte):
        packed |= ids[:, place::per_byte] << (8 - bits * (place + 1))
    path = saved("a.tif", tiff(2 * per_byte, 3, bits, 1, packed.tobytes()))
    np.testing.assert_array_equal(read_labels(path), ids)


@pytest.mark.parametrize("name", ["m.png", "m.bmp", "m.tif", "m.npy"])
def test_masks_of_one_bit_are_labels_0_and_1(saved, name):
    labels = read_labels(saved(name, GRAY > 127))
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, GRAY > 127)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy"])
def test_labels_of_sixteen_bits_are_read(saved, name):
    np.testing.assert_array_equal(read_labels(saved(name, DEPTH)), DEPTH)


def test_labels_are_read_from_gray_palette_and_npy(saved):
    colours = Image.fromarray(GRAY).convert("P")
    colours.putpalette(list(range(255, -1, -1)) * 3)
    for path in (
        saved("g.png", GRAY),
        saved("p.png", colours),
        saved("t.tif", GRAY),
        saved("n.npy", GRAY),
        saved("i.npy", GRAY.astype(np.int64)),
        saved("c.png", np.dstack([GRAY] * 3)),
    ):
        np.testing.assert_array_equal(read_labels(path), GRAY)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jpg", GRAY, "is a lossy JPEG, whose compression changes labels"),
        ("b.png", RGB, "must be a label map with one channel, got a 8-bit colour"),
        ("a.npy", METRES, "must be a label map of whole numbers, of shape (H, W), got"),
        ("b.npy", RGB, "got uint8 of shape (5, 7, 3)"),
        ("c.npy", GRAY[:0], "got uint8 of shape (0, 7)"),
    ],
)
def test_what_is_no_label_map_is_refused(saved, name, content, words):
    assert words in refusal(read_labels, saved(name, content))


def test_several_pictures_in_one_file_are_refused(saved):
    more = [Image.fromarray(GRAY)]
    path = saved("a.tif", GRAY, save_all=True, append_images=more)
    assert " holds several pictures: " in refusal(read_frame, path, "thermal")


@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.png"])
def test_pictures_stored_turned_are_refused(saved, name):
    exif = Image.Exif()
    exif[274] = 6
    path = saved(name, RGB, exif=exif)
    assert " is stored rotated (EXIF orientation 6)" in refusal(
        read_frame, path, "color"
    )


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_decompression_bomb_is_not_decoded(saved, side):
    path = saved("a.png", png(side, side, 8, 2, []))
    assert " claims more than 89,478,485 pixels" in refusal(read_frame, path, "color")


@pytest.mark.parametrize(
    "name", ["a.png", "a.jpg", "a.tif", "a.bmp", "a.webp", "a.npy"]
)
def test_every_truncation_is_refused_or_harmless(saved, tmp_path, name):
    path = saved(name, RGB)
    whole, expected = path.read_bytes(), read_frame(path, "color")
    cut = tmp_path / f"cut_{name}"
    refused = 0
    for length in range(0, len(whole), 1 + len(whole) // 60):
        cut.write_bytes(whole[:length])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, on damaged metadata
            try:
                np.testing.assert_array_equal(read_frame(cut, "color"), expected)
            except InputFileError:
                refused += 1
    assert refused > 20


@pytest.mark.parametrize(
    "name", ["a.png", "a.jpg", "a.tif", "a.bmp", "a.webp", "a.npy"]
)
@pytest.mark.parametrize("kind", ["color", "depth"])
def test_flipped_bytes_give_a_frame_or_input_file_error(saved, tmp_path, name, kind):
    whole = bytearray(saved(name, RGB if kind == "color" else GRAY).read_bytes())
    rng = np.random.default_rng(11)
    path = tmp_path / f"flipped_{name}"
    for _ in range(150):
        broken = whole.copy()
        for place in rng.integers(0, min(len(whole), 400), 3):
            broken[place] = rng.integers(256)
        path.write_bytes(broken)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                frame = read_frame(path, kind)
            except InputFileError:
                continue
        assert frame.size


class Payload:
    def __reduce__(self):
        return os.mkdir, ("code-was-run",)


def test_npy_with_a_pickle_is_refused_and_its_code_does_not_run(
    saved, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = saved("a.npy", np.array([Payload()], dtype=object))
    assert " is not a .npy file of plain numbers" in refusal(read_frame, path, "depth")
    assert not (tmp_path / "code-was-run").exists()


def test_npy_that_promises_more_than_it_holds_is_refused(saved):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (99999, 99999), }"
    head = b"\x93NUMPY\1\0" + struct.pack("<H", 118) + header.ljust(117).encode()
    path = saved("a.npy", head + b"\n" + bytes(64))
    assert " is not a .npy file of plain numbers" in refusal(read_frame, path, "depth")


def test_npz_named_npy_is_refused(saved):
    archive = io.BytesIO()
    np.savez(archive, DEPTH)
    path = saved("a.npy", archive.getvalue())
    assert " is an .npz archive" in refusal(read_frame, path, "depth")


@pytest.mark.parametrize("name", ["a.png", "a.npy"])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    sentence = refusal(read_frame, tmp_path / name, "color")
    assert sentence == " cannot be read: No such file or directory."


def test_text_named_png_is_refused(saved):
    path = saved("a.png", b"not a picture")
    assert " is not a PNG, JPEG, TIFF, BMP or WebP image" in refusal(
        read_frame, path, "color"
    )


@pytest.mark.parametrize("pixels", [GRAY, RGB, RGB[:, ::-1]])
def test_written_pngs_read_back_equal(tmp_path, pixels):
    path = tmp_path / "new" / "folder" / "a.png"
    write_png(path, pixels)
    with Image.open(path) as image:
        assert image.mode == ("L" if pixels.ndim == 2 else "RGB")
        np.testing.assert_array_equal(np.array(image), pixels)
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


def test_written_label_maps_hold_the_labels_and_show_the_colours(tmp_path):
    labels = np.array([[0, 1, 2], [1, 3, 255]], np.uint8)
    write_labels(tmp_path / "a.png", labels, [(9, 8, 7), (1, 2, 3), (200, 0, 50)])
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), labels)
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.array(image), labels)
        shown = np.array(image.convert("RGB"))
    black = [0, 0, 0]
    assert shown.tolist() == [
        [[9, 8, 7], [1, 2, 3], [200, 0, 50]],
        [[1, 2, 3], black, black],
    ]


def test_written_depth_reads_back_equal(tmp_path):
    depth = np.array([[0, 1, 40000], [65535, 256, 255]], np.uint16)
    write_png(tmp_path / "a.png", depth)
    np.testing.assert_array_equal(read_frame(tmp_path / "a.png", "depth"), depth)
