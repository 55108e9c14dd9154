from dataclasses import replace

import numpy as np
import pytest

from vla_data.errors import DataError
from vla_data.types import CameraInput
from vla_model.samples import SampleTable

CAMERAS = (CameraInput("front", 32, 32), CameraInput("wrist", 32, 32))


def test_every_step_is_a_sample_with_the_actions_that_followed(toy_source):
    table = SampleTable.of(toy_source, CAMERAS, 5)
    assert len(table) == 6 * 20
    assert table.images.shape == (120, 2, 3, 32, 32)
    episode = toy_source[3]
    row = 3 * 20 + 7
    np.testing.assert_array_equal(table.images[row, 1], episode.images["wrist"][7].transpose(2, 0, 1))
    np.testing.assert_array_equal(table.chunks[row], episode.action[7:12])
    np.testing.assert_array_equal(table.state[row], episode.state[7])


def test_a_batch_is_a_function_of_the_step_and_of_the_samples_own_wordings(toy_source):
    table = SampleTable.of(toy_source, CAMERAS, 5)
    rows, texts = table.sample(11, 256, seed=3)
    again = table.sample(11, 256, seed=3)
    np.testing.assert_array_equal(rows, again[0])
    np.testing.assert_array_equal(texts, again[1])
    assert not np.array_equal(rows, table.sample(12, 256, seed=3)[0])
    for row, text in zip(rows, texts, strict=True):
        episode = toy_source[row // 20]
        assert table.texts[text] in (episode.instruction, *episode.paraphrases)
    assert len({table.texts[t] for t in texts}) == 4


def test_missing_cameras_wrong_sizes_and_no_episode_are_named(toy_source):
    with pytest.raises(DataError, match="lacks a camera") as missing:
        SampleTable.of(toy_source, (CameraInput("top", 32, 32),), 5)
    assert "front, wrist" in str(missing.value)
    with pytest.raises(DataError, match="another size"):
        SampleTable.of(toy_source, (CameraInput("front", 64, 64),), 5)
    with pytest.raises(DataError, match="no episode"):
        SampleTable.of(replace(toy_source, episodes=0), CAMERAS, 5)
