from __future__ import annotations

import io

import numpy as np
from PIL import Image

from fuseg.manifest import Class
from fuseg_export.precision.pictures import strip

RED, GREEN = (230, 20, 40), (0, 160, 90)
CLASSES = (Class("floor", RED), Class("wall", GREEN))


def test_panes_have_titles_and_a_legend_and_show_where_labels_differ():
    camera = np.full((240, 320, 3), 77, np.uint8)
    expected = np.zeros((120, 160), np.uint8)
    got = expected.copy()
    got[10:20, 30:50] = 1
    with Image.open(io.BytesIO(strip(camera, expected, got, CLASSES, "fp16"))) as image:
        picture = np.array(image)
    assert picture.shape[1] == 4 * 160
    head = int(np.flatnonzero((picture[:, :160] == 77).all(axis=(1, 2)))[0])
    assert (picture[:head] < 128).any()  # titles
    body = picture[head : head + 120].reshape(120, 4, 160, 3)
    differ = (got != expected)[..., None]
    np.testing.assert_array_equal(body[:, 1], np.broadcast_to(RED, (120, 160, 3)))
    np.testing.assert_array_equal(body[:, 2], np.where(differ, GREEN, RED))
    np.testing.assert_array_equal(
        body[:, 3], np.broadcast_to(differ * 255, (120, 160, 3))
    )
    legend = {tuple(c) for c in picture[head + 120 :].reshape(-1, 3).tolist()}
    assert {RED, GREEN} <= legend
