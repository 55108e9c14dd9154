"""Image codecs. That JPEG decodes as TensorFlow's default does is held in test_rlds.py, beside TFDS."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.data.episodes import make_episode

from vla_data.errors import DataError, UnknownNameError
from vla_data.images import EncodedImages, decode, encode, size, sniff

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))


@given(hnp.arrays(np.uint8, SHAPES))
def test_png_loses_nothing(image: np.ndarray):
    data = encode(image, "png")
    np.testing.assert_array_equal(decode(data), image, strict=True)
    assert (sniff(data), size(data)) == ("png", image.shape[:2])


def test_jpeg_keeps_a_smooth_picture_nearly():
    rows, columns = np.mgrid[:48, :64]
    image = np.stack([rows * 4, columns * 3, rows + columns], axis=-1).astype(np.uint8)
    data = encode(image, "jpeg")
    got = decode(memoryview(data))
    assert (sniff(data), size(data), got.shape) == ("jpeg", (48, 64), image.shape)
    assert np.abs(got.astype(int) - image).mean() < 2
    assert len(encode(image, "jpeg", quality=30)) < len(data)


def test_a_slice_that_is_not_contiguous_can_be_encoded():
    frame = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)[::-1, ::-1]
    np.testing.assert_array_equal(decode(encode(frame, "png")), frame)


@pytest.mark.parametrize("data", [b"", b"\x89PNG", b"\xff\xd8\xff", b"GIF89a" * 9])
def test_what_is_no_image_is_refused(data: bytes):
    for read in (decode, size):
        with pytest.raises(DataError) as caught:
            read(data, "shard, frame 3")
        assert caught.value.where == "shard, frame 3"


def test_a_mistyped_encoding_names_the_nearest():
    with pytest.raises(UnknownNameError, match="'jpeg'"):
        encode(np.zeros((2, 2, 3), np.uint8), "jpg")


def test_an_image_of_another_size_or_kind_is_told_with_its_frame():
    episode = make_episode(0, 3)
    small = encode(np.zeros((8, 8, 3), np.uint8), "png")
    fine = encode(episode.images["front"][0], "png")
    for odd, message in (
        (small, "another size"),
        (b"GIF89a", "neither PNG nor JPEG"),
        (fine[:90], "cannot be"),
    ):
        frames = EncodedImages([fine, odd, fine], "record 7, key 'k'", (24, 32))
        assert frames[0].shape == (24, 32, 3)
        with pytest.raises(DataError, match=message) as caught:
            frames[1]
        assert caught.value.where == "record 7, key 'k', frame 1"
