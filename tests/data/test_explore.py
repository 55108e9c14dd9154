"""inspect and stats: what they say of a made-up set is what was put in; what is odd is found."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.data.episodes import CAMERAS, make_episode, write_dataset

from vla_data.errors import DataError
from vla_data.explore import columns, inspect, sections, stats
from vla_data.explore.dataset_stats import dataset_stats
from vla_data.explore.distributions import spread
from vla_data.formats.rlds import RldsReader
from vla_data.report import write_page
from vla_data.types import ArrayImages, Episode

LENGTHS = (4, 9, 2, 5)


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return [make_episode(i, n) for i, n in enumerate(LENGTHS)]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, episodes: list[Episode]) -> Path:
    return write_dataset(tmp_path_factory.mktemp("made_up"), episodes, shards=2)


def test_the_data_model_names_every_value_its_form_and_its_role(dataset: Path):
    model = inspect(dataset)
    rows = {r.key: r for r in model.features}
    front = rows["steps/observation/front"]
    assert (front.shape, front.dtype, front.encoding) == ("[T, 24, 32, 3]", "uint8", "png")
    assert front.role == "camera front"
    assert "24×32" in front.example
    assert rows["steps/action"].role == "action"
    assert rows["steps/series/pose/wrist"].shape == "[T, 4, 4]"
    assert "Schließe die Tür 0" in rows["steps/language_instruction"].example
    assert (model.format, model.robot.name, model.control_hz) == ("rlds", "arm", 10.0)
    assert [(s.name, s.episodes, s.shards) for s in model.splits] == [("train", 4, 2)]
    assert model.cameras == tuple(CAMERAS.values())
    assert model.warnings == ()


def test_the_tree_shows_each_parent_once(dataset: Path):
    lines = inspect(dataset).tree().splitlines()
    assert [line.strip() for line in lines if line.endswith("/")] == [
        "episode_metadata/", "substeps/", "steps/", "observation/", "series/", "pose/",
    ]  # fmt: skip
    assert len([line for line in lines if not line.endswith("/")]) == len(inspect(dataset).features)


def test_everything_becomes_json_and_a_page(dataset: Path, tmp_path: Path):
    model, found = inspect(dataset), stats([dataset])
    text = json.dumps([model.to_dict(), *(s.to_dict() for s in found)], allow_nan=False)
    assert json.loads(text)[1]["action"]["count"] == sum(LENGTHS)
    write_page(tmp_path / "page.html", "page", [*model.sections(), *sections(found)])
    page = (tmp_path / "page.html").read_text()
    assert "camera front" in page
    assert page.count("<svg") == 2 + 4 + 5  # lengths, words, each dimension of action and state


def test_statistics_are_those_of_numpy(dataset: Path, episodes: list[Episode]):
    said = []
    (found,) = stats([dataset], said.append)
    action = np.concatenate([e.action for e in episodes]).astype(np.float64)
    assert found.action is not None
    assert found.state is not None
    np.testing.assert_allclose(found.action.norm.mean, action.mean(0))
    np.testing.assert_allclose(found.action.norm.q99, np.quantile(action, 0.99, axis=0))
    assert found.state.norm.dim == 5
    assert (found.episodes, found.steps, found.lengths.max) == (4, sum(LENGTHS), 9)
    assert (found.instructions, found.words.mean, found.vocabulary) == (4, 4.0, 3 + 4)
    assert (found.control_hz, found.measured_hz) == (10.0, 10.0)
    assert sum(found.distributions[0].counts) == sum(LENGTHS)
    assert [d.name for d in found.distributions[:5]] == [
        "action x", "action y", "action z", "action gripper", "state s0",
    ]  # fmt: skip
    assert (said[-1].done, said[-1].total) == (4, 4)


def test_memory_is_bounded_and_said_to_be(dataset: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(columns, "BLOCK", 4)
    (exact,) = stats([dataset])
    found = dataset_stats(RldsReader.open(dataset), "here", "train", exact_numbers=30)
    assert found.action is not None
    assert exact.action is not None
    assert (exact.action.exact, found.action.exact) == (True, False)
    np.testing.assert_allclose(found.action.norm.mean, exact.action.norm.mean)
    assert found.action.norm.max == exact.action.norm.max
    assert "quantiles by t-digest" in str(sections([found]))


def test_several_data_sets_stand_in_one_table(dataset: Path, shared: Path):
    found = stats([dataset, shared / "data/rlds"])
    table = sections(found)[0].blocks[0]
    assert [row[0] for row in table.rows] == ["made_up (train)", "bridge_dataset (train)"]  # type: ignore[union-attr]
    assert found[1].episodes == 25


def test_the_bridge_sets_black_camera_and_copied_split_are_found(shared: Path):
    warnings = inspect(shared / "data/rlds").warnings
    assert any("camera wrist is black" in w for w in warnings)
    assert any("split val is the same 25 episodes as train" in w for w in warnings)
    assert len(warnings) == 2


def odd(i: int) -> Episode:
    """Odd in every way a writer lets through."""
    episode = make_episode(i, 4)
    action = episode.action.copy()
    action[:, 2] = 0.5
    black = ArrayImages(np.zeros((4, 24, 32, 3), np.uint8))
    return replace(episode, action=action, images={**episode.images, "front": black}, instruction="")


def test_constant_dimensions_black_cameras_and_silence_are_found(tmp_path: Path):
    warnings = inspect(write_dataset(tmp_path, [odd(0), odd(1)])).warnings
    assert "action dimension 2 (z) is constant: 0.5 at every step" in warnings
    assert "camera front is black: all 6 frames looked at are zero" in warnings
    assert "no episode has an instruction" in warnings
    assert len(warnings) == 3


def test_episodes_in_two_splits_or_twice_are_found(tmp_path: Path):
    train = [make_episode(i, 2) for i in (0, 1, 2, 1)]
    write_dataset(tmp_path, train)
    write_dataset(tmp_path, [make_episode(i, 2) for i in (1, 8)], split="val")
    warnings = inspect(tmp_path).warnings
    assert "1 episodes of split val are in train as well" in warnings
    assert "1 episodes of train are exact copies of others" in warnings


def test_nan_is_counted_and_left_out(dataset: Path, monkeypatch: pytest.MonkeyPatch):
    read = RldsReader.read_series

    def with_nan(self: RldsReader, index: int) -> Episode:
        episode = read(self, index)
        if index == 1:
            episode.action[1, 0] = np.nan
            episode.state[1, 3] = np.inf
        return episode

    monkeypatch.setattr(RldsReader, "read_series", with_nan)
    (found,) = stats([dataset])
    assert found.non_finite == 1
    assert found.action is not None
    assert found.action.norm.count == sum(LENGTHS) - 1
    json.dumps(found.to_dict(), allow_nan=False)
    assert "action holds NaN or Inf in 1 of 4 episodes, the first is 1" in inspect(dataset).warnings
    assert "NaN" in sections([found])[1].blocks[0].text  # type: ignore[union-attr]


def test_a_damaged_data_set_is_refused(tmp_path: Path):
    directory = write_dataset(tmp_path, [make_episode(0, 2)])
    (directory / "features.json").unlink()
    with pytest.raises(DataError, match=r"features\.json"):
        inspect(directory)
    with pytest.raises(DataError, match=r"features\.json"):
        stats([directory])


FINITE = st.floats(-1e6, 1e6, width=32)


@given(
    st.one_of(
        hnp.arrays(np.float32, st.integers(0, 40), elements=FINITE),
        hnp.arrays(np.int64, st.integers(0, 40), elements=st.integers(0, 10_000)),
    )
)
def test_a_histogram_counts_every_value_once(values: np.ndarray):
    found = spread("x", values)
    assert sum(found.counts) == len(values)
    assert len(found.edges) == len(found.counts) + 1
    assert list(found.edges) == sorted(set(found.edges))
    if len(values):
        assert found.edges[0] <= values.min() <= found.median <= values.max() <= found.edges[-1]
