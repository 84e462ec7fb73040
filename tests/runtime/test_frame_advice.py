"""What an error says to do is done: the frame must then label as the camera's own."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest

import fuseg
from fuseg import errors

SIZE = (60, 80)


@pytest.fixture
def scene(frames):
    """A frame of each sensor as the manifest declares it."""
    return frames(3, *SIZE)


def refused(bundle, given, error=errors.FusegError, **options) -> str:
    with pytest.raises(error) as caught:
        fuseg.load(bundle.path, **options)(**given)
    assert caught.value.fault is not None
    assert str(caught.value) == str(caught.value.fault)
    return str(caught.value)


def code_in(sentence: str, name: str) -> list[str]:
    """The expressions of an advice: each begins behind a colon or comma, and ends with
    the sentence, a semicolon or a comma outside of its brackets."""
    found, end = [], 0
    for start in re.finditer(rf"(?<=[:,] )(?=\(?{name}\b|np\.|cv2\.)", sentence):
        if start.start() < end:
            continue
        depth, end = 0, len(sentence)
        for at in range(start.start(), len(sentence)):
            depth += (sentence[at] in "([") - (sentence[at] in ")]")
            rest = sentence[at : at + 2]
            if depth == 0 and (rest in (". ", "; ", ", ") or rest == "."):
                end = at
                break
        found.append(sentence[start.start() : end])
    return found


def followed(sentence: str, name: str, array: np.ndarray, number: int = 0):
    (*code,) = code_in(sentence, name)
    return eval(code[number], {"np": np, "cv2": cv2, name: array})


def agreement(bundle, given, wanted, **options) -> float:
    labels = fuseg.load(bundle.path, **options)(**given).labels
    return float((labels == wanted).mean())


COLOR = {
    "16 bits": (lambda a: a.astype(np.uint16) * 257, 0),
    "12 bits": (lambda a: a.astype(np.uint16) << 4, 1),
    "0 to 1": (lambda a: (a / 255).astype(np.float32), 0),
    "0 to 1, half": (lambda a: (a / 255).astype(np.float16), 0),
    "0 to 255": (lambda a: a.astype(np.float64), 1),
    "int64": (lambda a: a.astype(np.int64), 0),
    "signed bytes": (lambda a: a.view(np.int8), 0),
    "big-endian": (lambda a: a.astype(">u2") * 257, 0),
    "channels first": (lambda a: a.transpose(2, 0, 1).copy(), 0),
    "a batch": (lambda a: a[None], 0),
    "fortran": (np.asfortranarray, 0),
    "every second column": (lambda a: np.repeat(a, 2, axis=1)[:, ::2], 0),
}


@pytest.mark.parametrize("form", COLOR)
def test_colour_converted_as_told_labels_like_the_cameras(rgbd, scene, form):
    make, number = COLOR[form]
    wanted = fuseg.load(rgbd.path)(**scene).labels
    given = make(scene["rgb"])
    sentence = refused(rgbd, scene | {"rgb": given})
    made = followed(sentence, "rgb", given, number)
    np.testing.assert_array_equal(made, scene["rgb"])
    assert agreement(rgbd, scene | {"rgb": made}, wanted) == 1


def smooth_picture():
    """(60, 80, 3) without fine detail: chroma and mosaics are read without loss."""
    y, x = np.mgrid[:60, :80]
    planes = [60 + 2 * y, 40 + 2 * x, 200 - y - x]
    return np.stack(planes, axis=2).astype(np.uint8)


def nv12(rgb):
    i420 = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    u, v = i420[60:75].reshape(30, 40), i420[75:90].reshape(30, 40)
    return np.concatenate([i420[:60], np.stack([u, v], axis=2).reshape(30, 80)])


def packed_422(rgb, order):
    yuv = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    luma = yuv[:60]
    u = np.repeat(yuv[60:75].reshape(30, 40), 2, axis=0)
    v = np.repeat(yuv[75:90].reshape(30, 40), 2, axis=0)
    chroma = np.stack([u, v], axis=2).reshape(60, 80)
    return np.stack([luma, chroma] if order == "YUYV" else [chroma, luma], axis=2)


def bayer(rgb):
    mosaic = rgb[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = rgb[::2, ::2, 0], rgb[1::2, 1::2, 2]
    return mosaic


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize(
    ("make", "code"),
    [
        (nv12, "NV12"),
        (lambda a: packed_422(a, "YUYV"), "YUYV"),
        (lambda a: packed_422(a, "UYVY"), "UYVY"),
        (bayer, "Bayer"),
    ],
    ids=["NV12", "YUYV", "UYVY", "Bayer"],
)
def test_raw_pictures_converted_as_told_are_the_cameras(rgbd, scene, make, code, order):
    picture = smooth_picture()
    given = make(picture)
    scene["rgb"] = picture
    wanted = fuseg.load(rgbd.path)(**scene).labels
    options = {"channels": {"rgb": order}}
    sentence = refused(rgbd, scene | {"rgb": given}, errors.ShapeError, **options)
    (line,) = [c for c in code_in(sentence, "rgb") if code in c]
    made = eval(line, {"cv2": cv2, "rgb": given})
    in_order = picture if order == "RGB" else picture[..., ::-1]
    assert np.abs(made.astype(int) - in_order)[2:-2, 2:-2].max() <= 6
    assert agreement(rgbd, scene | {"rgb": made}, wanted, **options) > 0.97


def test_gray_is_one_possibility_of_a_plane_and_not_the_only_one(rgbd, scene):
    plane = np.zeros((90, 80), np.uint8)
    sentence = refused(rgbd, scene | {"rgb": plane}, errors.ShapeError)
    assert "If it is gray" in sentence
    assert "NV12" in sentence
    assert "Bayer" in sentence
    assert "NV12" not in refused(rgbd, scene | {"rgb": plane[:61]}, errors.ShapeError)


@pytest.mark.parametrize("order", ["GRAY", "RGBA", "BGRA", "RGB", "BGR"])
def test_the_channels_that_are_told_to_be_said_are_taken(rgbd, scene, order):
    picture = scene["rgb"]
    if order == "GRAY":
        picture = scene["rgb"] = np.repeat(picture[..., :1], 3, axis=2)
    wanted = fuseg.load(rgbd.path)(**scene).labels
    given = picture[..., ::-1].copy() if order.startswith("BGR") else picture
    told_before = {"channels": {"rgb": "BGRA" if "BGR" in order else "RGBA"}}
    if order == "GRAY":
        given = picture[..., 0].copy()
        told_before = {}
    elif order.endswith("A"):
        given = np.concatenate([given, given[..., :1]], axis=2)
        told_before = {"channels": {"rgb": order[:3]}}
    sentence = refused(rgbd, scene | {"rgb": given}, errors.ShapeError, **told_before)
    options = eval(re.search(r"channels=(\{.*?\})", sentence)[1])
    assert options == {"rgb": order}
    assert agreement(rgbd, scene | {"rgb": given}, wanted, channels=options) == 1


@pytest.mark.parametrize(
    ("word", "order"),
    [
        *[("rgb8", "RGB"), ("bgr8", "BGR"), ("rgba8", "RGBA"), ("bgra8", "BGRA")],
        *[("mono8", "GRAY"), ("bgr", "BGR"), ("grey", "GRAY"), ("8UC1", "GRAY")],
    ],
)
def test_the_words_of_ros_are_refused_with_the_one_that_is_meant(rgbd, word, order):
    with pytest.raises(errors.ArgumentError) as caught:
        fuseg.load(rgbd.path, channels={"rgb": word})
    assert str(caught.value).endswith(f"got {word!r}. Say {order!r}.")
    fuseg.load(rgbd.path, channels={"rgb": order})


@pytest.mark.parametrize("word", ["yuv422_yuy2", "nv12", "bayer_rggb8"])
def test_the_words_of_raw_pictures_are_not_channels(rgbd, word):
    with pytest.raises(errors.ArgumentError, match="Convert such frames first"):
        fuseg.load(rgbd.path, channels={"rgb": word})


@pytest.mark.parametrize("name", ["rgb", "depth"])
def test_an_empty_frame_is_no_frame(load, scene, name):
    missing = fuseg.manifest.Missing("substitute")
    segmenter = load(**{name: missing})
    empty = scene[name][:0]
    with pytest.raises(errors.ShapeError) as caught:
        segmenter(**scene | {name: empty})
    assert str(caught.value) == (
        f"{name} must not be empty, got shape {empty.shape}. If the camera gave "
        f"nothing, give {name}=None."
    )
    result = segmenter(**scene | {name: None})
    assert result.reason == f"{name}: substituted (no frame)"


def metres(depth, dtype=np.float32):
    return np.where(np.isin(depth, (0, 65535)), np.nan, depth / 1000).astype(dtype)


PLANES = {
    "float32 metres": metres,
    "float64 metres": lambda d: metres(d, np.float64),
    "big-endian metres": lambda d: metres(d, ">f4"),
    "int32": lambda d: np.where(d == 65535, 70000, d.astype(np.int32)),
    "int16": lambda d: np.where(d == 0, -1, d.astype(np.int16)),
    "uint32": lambda d: np.where(d == 65535, 2**31, d.astype(np.uint32)),
    "big-endian": lambda d: d.astype(">u2"),
    "one channel": lambda d: d[..., None],
    "one of a batch": lambda d: d[None],
    "three equal channels": lambda d: np.repeat(d[..., None], 3, axis=2),
    "fortran": np.asfortranarray,
    "turned": lambda d: np.ascontiguousarray(d.T).T,
}


def as_told(sentence, name, array, options=None):
    """The frame and the options that an advice asks for."""
    options = dict(options or {})
    for word, said in re.findall(r"(units|channels)=(\{.*\})", sentence):
        options[word] = eval(said)
    for line in code_in(sentence, name):
        array = eval(line, {"np": np, "cv2": cv2, name: array})
    return array, options


@pytest.mark.parametrize("form", PLANES)
def test_depth_converted_as_told_labels_like_the_manifests(rgbd, scene, form):
    if form != "int16":
        scene["depth"][::7, ::5] = 65535
    wanted = fuseg.load(rgbd.path)(**scene).labels
    given = PLANES[form](scene["depth"])
    sentence = refused(rgbd, scene | {"depth": given})
    made, options = as_told(sentence, "depth", given)
    assert agreement(rgbd, scene | {"depth": made}, wanted, **options) == 1


FLOAT_PLANES = {
    "uint16 mm": lambda d: np.nan_to_num(d * 1000).astype(np.uint16),
    "int32 mm": lambda d: np.nan_to_num(d * 1000, nan=-1).astype(np.int32),
    "float64": lambda d: d.astype(np.float64),
    "float16": lambda d: d.astype(np.float16),
}


@pytest.fixture
def ranged(make_bundle, color_input, plane_input):
    """Colour, and depth in float32 metres."""
    depth = plane_input(dtype="float32", unit="m", scale=1.0, invalid=(0,))
    return make_bundle(color_input(), depth)


@pytest.mark.parametrize("form", FLOAT_PLANES)
def test_frames_for_a_float_sensor_converted_as_told(ranged, scene, form):
    steps = 4 if form == "float16" else 1000  # what it holds exactly
    depth = np.float32(np.rint(scene["depth"] / 1000 * steps) / steps)
    depth[depth == 0] = np.nan
    scene["depth"] = depth
    wanted = fuseg.load(ranged.path)(**scene).labels
    given = FLOAT_PLANES[form](depth)
    sentence = refused(ranged, scene | {"depth": given})
    made, options = as_told(sentence, "depth", given)
    assert agreement(ranged, scene | {"depth": made}, wanted, **options) == 1


def test_8_bit_depth_is_not_converted_but_read_raw(rgbd, scene, tmp_path):
    path = str(tmp_path / "depth.png")
    cv2.imwrite(path, scene["depth"])
    wanted = fuseg.load(rgbd.path)(**scene).labels
    for given in (cv2.imread(path), cv2.imread(path, 0)):
        sentence = refused(rgbd, scene | {"depth": given}, errors.DTypeError)
        assert "astype" not in sentence
        line = re.search(r"cv2\.imread\(.*?\)", sentence)[0]
        made = eval(line, {"cv2": cv2, "path": path})
        assert agreement(rgbd, scene | {"depth": made}, wanted) == 1


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_a_frame_at_an_odd_address_is_read_where_it_is(rgbd, ranged, scene, dtype):
    bundle = rgbd if dtype == "uint16" else ranged
    plain = scene["depth"].astype(dtype)
    wanted = fuseg.load(bundle.path)(**scene | {"depth": plain}).labels
    odd = np.ndarray(SIZE, dtype, buffer=bytes(13) + plain.tobytes(), offset=13)
    assert not odd.flags.aligned
    assert agreement(bundle, scene | {"depth": odd}, wanted) == 1


class Lent:
    """An array of a library that speaks DLPack and nothing else."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


def test_a_frame_may_speak_dlpack_alone(rgbd, scene):
    wanted = fuseg.load(rgbd.path)(**scene).labels
    lent = {name: Lent(array) for name, array in scene.items()}
    result = fuseg.load(rgbd.path)(**lent)
    np.testing.assert_array_equal(result.labels, wanted)
    assert result.overlay().shape == (*SIZE, 3)


def test_a_frame_of_another_sensor_is_asked_about(rgbd, scene):
    swapped = {"rgb": scene["depth"], "depth": scene["rgb"].astype(np.uint16)}
    sentence = refused(rgbd, scene | {"rgb": swapped["rgb"]}, errors.DTypeError)
    assert sentence == (
        "rgb must be uint8 of shape (H, W, 3), got uint16 of shape (60, 80). Is it "
        "the frame of another sensor?"
    )
    sentence = refused(
        rgbd, scene | {"rgb": np.zeros((1, 3, 60, 80), np.float32)}, errors.DTypeError
    )
    assert "Give the camera's own frame" in sentence


def test_masked_pixels_of_depth_are_no_readings(rgbd, ranged, scene):
    hidden = np.zeros(SIZE, bool)
    hidden[10:30, 20:50] = True
    plain = np.where(hidden, 0, scene["depth"]).astype(np.uint16)
    for bundle, dtype in ((rgbd, np.uint16), (ranged, np.float32)):
        raw = scene["depth"].astype(dtype)
        wanted = fuseg.load(bundle.path)(**scene | {"depth": plain.astype(dtype)})
        masked = np.ma.masked_array(raw, mask=hidden)
        made = fuseg.load(bundle.path)(**scene | {"depth": masked})
        np.testing.assert_array_equal(made.labels, wanted.labels)
        nothing = np.ma.masked_array(raw, mask=True)
        with pytest.raises(errors.FrameError, match=r"depth \(no valid pixel\)"):
            fuseg.load(bundle.path)(**scene | {"depth": nothing})
        unmasked = np.ma.masked_array(raw)
        assert agreement(
            bundle,
            scene | {"depth": unmasked},
            fuseg.load(bundle.path)(**scene | {"depth": raw}).labels,
        )


def test_masked_pixels_that_cannot_be_said_are_refused(
    rgbd, make_bundle, plane_input, scene
):
    hidden = np.zeros((*SIZE, 3), bool)
    hidden[5:9, 5:9] = True
    masked = np.ma.masked_array(scene["rgb"], mask=hidden)
    black = scene | {"rgb": np.where(hidden, 0, scene["rgb"])}
    sentence = refused(rgbd, scene | {"rgb": masked}, errors.DTypeError)
    made, _ = as_told(sentence, "rgb", masked)
    wanted = fuseg.load(rgbd.path)(**black).labels
    assert agreement(rgbd, scene | {"rgb": made}, wanted) == 1

    thermal = plane_input("thermal", kind="thermal", unit="0.01K", invalid=())
    bundle = make_bundle(thermal)
    raw = np.full(SIZE, 29000, np.uint16)
    masked = np.ma.masked_array(raw, mask=hidden[..., 0])
    sentence = refused(bundle, {"thermal": masked}, errors.DTypeError)
    made, options = as_told(sentence, "thermal", masked)
    segmenter = fuseg.load(bundle.path, **options)
    tensor = segmenter.preprocess(thermal=made)["thermal"][0, 0]
    sampled = hidden[..., 0][::10, ::10]
    np.testing.assert_array_equal(tensor == -1, sampled)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "give rgb=None itself"),
        ("rgb.png", "Read the file first"),
        ([[1]], r"Convert it: np\.asarray\(rgb\)"),
    ],
)
def test_what_is_no_array_is_refused_with_what_to_do(rgbd, scene, given, says):
    with pytest.raises(errors.DTypeError, match=f"rgb must be a NumPy array.*{says}"):
        fuseg.load(rgbd.path)(**scene | {"rgb": fuseg.Frame(given)})
