"""Conversions: golden values, and what holds of any gripper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_data.errors import ConfigError, UnknownNameError
from vla_data.openx.conversions import CONVERSIONS, binarise, clip, invert, relative, signed
from vla_data.openx.meanings import MEANINGS, action_spec, state_dims
from vla_data.openx.pieces import DepthPicture, Picture, Piece, parse_depth, parse_picture, parse_piece

commands = st.lists(st.floats(-1, 1, width=32), max_size=12)


def column(values: list[float]) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1)


@pytest.mark.parametrize(
    ("convert", "stored", "expected"),
    [
        (clip, [-1, 0.5, 2], [0, 0.5, 1]),
        (invert, [0, 0.25, 1], [1, 0.75, 0]),
        (signed, [-1, 0, 1], [0, 0.5, 1]),
        (relative, [0, 1, 0, 0, -1, 0], [1, 0, 0, 0, 1, 1]),  # close, hold, open
        (relative, [0, 0, -1, 0], [0, 0, 1, 1]),  # what is opened was closed before
        (relative, [0, 0.05, -0.05], [1, 1, 1]),  # never told anything: open
        (binarise, [1, 0.6, 0.4, 0, 0], [1, 0, 0, 0, 0]),  # on its way counts as where it gets to
        (binarise, [0, 0.3, 0.8, 1], [0, 1, 1, 1]),
        (binarise, [1, 0.7], [1, 1]),  # never gets there: the nearer one
        (binarise, [1, 0.2], [1, 0]),
    ],
)
def test_golden_values(convert, stored: list[float], expected: list[float]):
    np.testing.assert_allclose(convert(column(stored))[:, 0], expected)


@pytest.mark.parametrize("name", sorted(CONVERSIONS))
@given(commands)
def test_every_conversion_keeps_the_shape_and_its_input(name: str, stored: list[float]):
    values = column(stored)
    before = values.copy()
    found = CONVERSIONS[name](values)
    assert (found.shape, found.dtype) == (values.shape, np.float32)
    np.testing.assert_array_equal(values, before)


@given(commands)
def test_a_gripper_told_changes_is_open_or_closed_and_turns_only_when_told(stored: list[float]):
    told = relative(column(stored))[:, 0]
    assert set(told) <= {0.0, 1.0}
    for step in range(1, len(told)):
        if told[step] != told[step - 1]:
            assert (stored[step] < 0) == (told[step] == 1)
            assert abs(stored[step]) > 0.1


@given(commands)
def test_two_columns_are_converted_as_one_by_one(stored: list[float]):
    one, other = column(stored), column(stored[::-1])
    for convert in CONVERSIONS.values():
        both = convert(np.concatenate([one, other], axis=1))
        np.testing.assert_array_equal(both, np.concatenate([convert(one), convert(other)], axis=1))


def test_pieces_are_read_from_their_text():
    assert parse_piece("action", "here") == Piece("action")
    piece = parse_piece("observation/state[7,0:2] *0.5 clip invert", "here")
    assert piece == Piece("observation/state", (7, 0, 1), ("clip", "invert"), 0.5)
    values = np.arange(16, dtype=np.float64).reshape(2, 8) / 10
    np.testing.assert_allclose(piece.take(values), [[0.65, 1, 0.95], [0.25, 0.6, 0.55]], rtol=1e-6)
    assert Piece("action").whole
    assert not piece.whole
    assert parse_picture("hand_image bgr", "here") == Picture("observation/hand_image", bgr=True)
    assert parse_picture("pictures/top", "here") == Picture("pictures/top")
    assert parse_depth("depth *0.001", "here") == DepthPicture("observation/depth", 0.001)


@pytest.mark.parametrize("text", ["", "action[", "action[a]", "action[1:]", "action *2 *3", "action *much"])
def test_a_piece_that_cannot_be_read_says_what_would_be(text: str):
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        parse_piece(text, "standard.toml, action_from")
    assert caught.value.where == "standard.toml, action_from"


def test_unknown_words_name_the_nearest():
    with pytest.raises(UnknownNameError, match="'invert'"):
        parse_piece("action[6] inverted", "here")
    with pytest.raises(UnknownNameError, match="'bgr'"):
        parse_picture("image bgrr", "here")
    with pytest.raises(UnknownNameError, match="'delta_position'"):
        action_spec("delta_positions gripper", 5.0)
    with pytest.raises(UnknownNameError, match="'gripper'"):
        action_spec("delta_position@griper", 5.0)
    with pytest.raises(ConfigError, match="cannot be read"):
        action_spec("joints:seven", 5.0)


def test_words_mean_dimensions():
    spec = action_spec("delta_position@gripper delta_axis_angle left.joints:2 gripper", 5.0)
    assert [d.name for d in spec.dims] == [
        "x", "y", "z", "rx", "ry", "rz", "left_joint_0", "left_joint_1", "gripper"
    ]  # fmt: skip
    assert [d.frame for d in spec.dims[:4]] == ["gripper", "gripper", "gripper", "base"]
    assert (spec.rotation, spec.gripper_closes) == ("axis_angle", -1)
    assert (spec.dims[-1].low, spec.dims[-1].high) == (0.0, 1.0)
    assert action_spec("delta_position gripper_unsigned", 5.0).gripper_closes is None
    assert action_spec("pick.quaternion place.quaternion", 5.0).rotation == "quaternion_xyzw"
    assert [(d.name, d.unit) for d in state_dims("position gripper_width")] == [
        ("x", "m"), ("y", "m"), ("z", "m"), ("gripper_width", "m")
    ]  # fmt: skip


@pytest.mark.parametrize("word", sorted(MEANINGS))
def test_every_word_gives_names_of_its_own_and_sound_bounds(word: str):
    dims = action_spec(f"{word}:2", 5.0).dims
    assert len({d.name for d in dims}) == len(dims) == 2 * len(MEANINGS[word].names)
    assert all(d.low < d.high for d in dims)
