"""A data set of one's own: its entry lies beside its files, and what is wrong with it is said."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.openx_synthetic import STEPS, write_synthetic

from vla_data import open_episodes
from vla_data.errors import ConfigError, DataError
from vla_data.formats.pictures import DepthFrames, SwappedImages, decode_depth
from vla_data.formats.rlds.reader import RldsReader
from vla_data.images import EncodedImages
from vla_data.openx.standard import load_standard

OWN = """
robot = "my_arm"
hz = 12
action = "delta_position delta_euler gripper"
action_from = ["action[0:6]", "action[6] clip invert"]
state = "joints:7 gripper_width"
state_from = ["observation/state[0:8]"]
source = "our lab's notes"

[cameras]
front = "image"
wrist = "wrist_image bgr"
"""
NAME = "austin_buds_dataset_converted_externally_to_rlds"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_synthetic(tmp_path, NAME)[0]


def test_the_entry_beside_a_data_set_comes_first(directory: Path):
    (directory / "standard.toml").write_text(OWN)
    reader = open_episodes(directory)
    assert isinstance(reader, RldsReader)
    standard = reader.door.standard  # type: ignore[attr-defined]
    assert (reader.robot.name, reader.robot.action.control_hz) == ("my_arm", 12.0)
    assert (standard.status, standard.source) == ("unverified", "our lab's notes")
    assert list(reader[0].images) == ["front", "wrist"]
    assert isinstance(reader[0].images["wrist"], SwappedImages)
    np.testing.assert_allclose(reader[0].time, np.arange(STEPS) / 12)


def test_an_entry_may_be_json_and_name_itself(directory: Path):
    given = {"robot": "my_arm", "action": "raw:7", "action_from": ["action"], "cameras": {"top": "image"}}
    path = directory / "standard.json"
    path.write_text(json.dumps(given))
    reader = open_episodes(directory)
    assert (reader.rate_assumed, list(reader[0].images), reader[0].state.shape) == (True, ["top"], (STEPS, 0))
    assert load_standard(path).source == str(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("robot = ", "robott = "), "did you mean 'robot'"),
        (("clip invert", "clip invertt"), "did you mean 'invert'"),
        (("delta_position", "delta_positon"), "did you mean 'delta_position'"),
        (("wrist_image bgr", "wrist_image bgrr"), "did you mean 'bgr'"),
        (("hz = 12", 'hz = "fast"'), "wrong type"),
        (("[cameras]", "[cameras"), "cannot be read"),
        (("action[0:6]", "action[0:"), "where a value lies cannot be read"),
    ],
)
def test_an_entry_that_cannot_be_read_names_its_file_and_the_nearest(
    directory: Path, change: tuple[str, str], said: str
):
    (directory / "standard.toml").write_text(OWN.replace(*change))
    with pytest.raises(ConfigError) as caught:
        len(open_episodes(directory).cameras)
    assert said in str(caught.value)
    assert "standard.toml" in str(caught.value.where)


def test_an_entry_that_is_no_table_is_refused(tmp_path: Path):
    path = tmp_path / "standard.json"
    path.write_text("[]")
    with pytest.raises(ConfigError, match="keys and values"):
        load_standard(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("wrist_image bgr", "wrist_imag"), "did you mean 'steps/observation/wrist_image'"),
        (("action[0:6]", "action[0:5]"), "7 numbers"),
        (("action[6]", "action[7]"), "column 7 of 7"),
        (("joints:7", "joints:6"), "another width"),
        (('front = "image"', 'front = "image"\nback = "x"'), "steps/observation/x"),
    ],
)
def test_an_entry_that_does_not_fit_says_where(directory: Path, change: tuple[str, str], said: str):
    (directory / "standard.toml").write_text(OWN.replace(*change))
    with pytest.raises(DataError) as caught:
        len(open_episodes(directory).cameras)
    assert said in str(caught.value)


def test_the_instruction_is_checked_as_well(directory: Path):
    (directory / "standard.toml").write_text('instruction = "language_instructions"\n' + OWN)
    with pytest.raises(DataError, match="did you mean 'steps/language_instruction'"):
        len(open_episodes(directory).cameras)


def png(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format="PNG")
    return buffer.getvalue()


def test_depth_pictures_of_every_kind_are_decoded():
    millimetres = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    np.testing.assert_array_equal(decode_depth(png(millimetres)), millimetres)
    grey = (millimetres // 256).astype(np.uint8)
    np.testing.assert_array_equal(decode_depth(png(grey)), grey)
    metres = np.linspace(0.1, 3, 12).astype(np.float32).reshape(3, 4)
    np.testing.assert_array_equal(decode_depth(png(metres.view(np.uint8).reshape(3, 4, 4))), metres)


def test_a_depth_picture_that_is_none_says_so():
    with pytest.raises(DataError, match="has colours"):
        decode_depth(png(np.zeros((3, 4, 3), np.uint8)), "here")
    with pytest.raises(DataError, match="another size"):
        decode_depth(png(np.zeros((3, 4), np.uint8)), "here", (4, 3))
    with pytest.raises(DataError, match="cannot be decoded"):
        decode_depth(png(np.zeros((30, 40), np.uint8))[:-20], "here")
    with pytest.raises(DataError, match="neither PNG nor JPEG"):
        decode_depth(b"nothing like it", "here")


def test_depth_behaves_like_an_array_and_decodes_only_what_is_asked_for():
    frames = [png(np.full((3, 4), i, np.uint16)) for i in range(3)]
    depth = DepthFrames([*frames, b"damaged"], 0.001, (3, 4))
    assert (len(depth), depth.shape, depth.ndim) == (4, (4, 3, 4), 3)
    np.testing.assert_allclose(depth[2], 0.002)
    assert depth[0:2].shape == (2, 3, 4)
    with pytest.raises(DataError, match="frame 3"):
        np.asarray(depth)
    assert np.asarray(DepthFrames(frames[:0], 1.0, (3, 4))).shape == (0, 3, 4)


def test_swapped_frames_are_turned_round():
    frame = np.zeros((2, 2, 3), np.uint8)
    frame[..., 0] = 200
    assert SwappedImages(EncodedImages([png(frame)]))[0][0, 0].tolist() == [0, 0, 200]
