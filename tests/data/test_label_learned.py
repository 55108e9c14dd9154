"""The labeller that is fitted: it finds what it was shown, and its file says what it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.data.movements import PICK, movement

from vla_data.errors import ConfigError, DataError, VlaError
from vla_data.files import read_json, write_json
from vla_data.label import LabelConfig, make_labeller, mean_f1
from vla_data.label.learned import BoundaryModel, fit, step_features
from vla_data.label.motion import motion_of
from vla_data.types import Episode


def drawn(seed: int) -> Episode:
    """Parts in another order and of other lengths each time, with noise."""
    rng = np.random.default_rng(seed)
    parts = tuple(
        (int(rng.integers(6, 20)), v, g) for _, v, g in (PICK[i] for i in rng.permutation(len(PICK)))
    )
    return movement(parts, noise=0.15, seed=seed)


@pytest.fixture(scope="module")
def model() -> BoundaryModel:
    return fit([drawn(i) for i in range(12)])


def test_it_finds_the_parts_of_movements_it_never_saw(model: BoundaryModel, tmp_path: Path) -> None:
    model.save(tmp_path / "model.json")
    learned = make_labeller(LabelConfig("learned", model=tmp_path / "model.json"))
    unseen = [drawn(i) for i in range(100, 110)]
    assert mean_f1([(learned.label(e), e.substeps) for e in unseen]) > 0.9


def test_the_file_holds_the_model(model: BoundaryModel, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    model.save(path)
    assert BoundaryModel.load(path) == model
    motion = motion_of(drawn(200))
    probability = BoundaryModel.load(path).probability(motion)
    np.testing.assert_array_equal(probability, model.probability(motion))
    assert probability.min() >= 0
    assert probability.max() <= 1


def test_features_are_as_many_as_the_model_wants(model: BoundaryModel) -> None:
    for steps in (1, 2, 9):
        features = step_features(motion_of(movement(((steps, (0.02, 0.0, 0.0), -1.0),))), model.windows)
        assert features.shape == (steps, len(model.mean))
        assert np.isfinite(features).all()


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(ConfigError, match="no episode to learn from"):
        fit([replace(drawn(0), substeps=())])


def test_files_that_are_no_model_are_refused(model: BoundaryModel, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    with pytest.raises(ConfigError, match="has no model"):
        make_labeller(LabelConfig("learned"))
    with pytest.raises(DataError):
        make_labeller(LabelConfig("learned", model=path))
    model.save(path)
    write_json(path, {**read_json(path), "weights": [1.0, 2.0]})
    with pytest.raises(ConfigError, match="does not fit its windows"):
        BoundaryModel.load(path)
    path.write_text("[1, 2]")
    with pytest.raises(VlaError):
        BoundaryModel.load(path)
