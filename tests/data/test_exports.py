"""Statistics files of other code bases: their keys and numbers, by hand on small arrays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.data.episodes import make_episode, write_dataset

from vla_data.errors import DataError, UnknownNameError
from vla_data.explore import DatasetStats, export_stats, merge_stats, stats, write_stats
from vla_data.types import ActionSpec, Episode

RAMP = np.arange(101, dtype=np.float32)


def ramp(offset: float = 0.0, **changes: object) -> Episode:
    """Every dimension counts from `offset` to `offset` + 100 by ones, so that quantiles are whole."""
    values = RAMP[:, None] + offset
    episode = make_episode(0, 101)
    action, state = np.repeat(values, 4, axis=1), np.repeat(values * 2, 5, axis=1)
    return replace(episode, action=action, state=state, **changes)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[DatasetStats]:
    first = write_dataset(tmp_path_factory.mktemp("first"), [ramp()])
    second = write_dataset(tmp_path_factory.mktemp("second"), [ramp(100.0), ramp(100.0)])
    made = stats([first, second], sketch=True)
    return [made[0], replace(made[1], name="other")]


def test_openvla(found: list[DatasetStats]):
    document = export_stats(found, "openvla")
    assert list(document) == ["made_up", "other"]
    one = document["made_up"]
    assert set(one) == {"action", "proprio", "num_transitions", "num_trajectories"}
    assert set(one["action"]) == {"mean", "std", "max", "min", "q01", "q99", "mask"}
    assert set(one["proprio"]) == {"mean", "std", "max", "min", "q01", "q99"}
    assert one["action"]["mask"] == [True, True, True, False]
    assert (one["num_transitions"], one["num_trajectories"]) == (101, 1)
    assert (document["other"]["num_transitions"], document["other"]["num_trajectories"]) == (202, 2)
    assert one["action"]["q01"] == [1.0] * 4
    assert one["proprio"]["q99"] == [198.0] * 5
    np.testing.assert_allclose(one["action"]["std"], [np.std(RAMP)] * 4)


def test_openpi(found: list[DatasetStats]):
    document = export_stats(found[:1], "openpi")
    assert list(document) == ["norm_stats"]
    assert set(document["norm_stats"]) == {"state", "actions"}
    assert all(set(v) == {"mean", "std", "q01", "q99"} for v in document["norm_stats"].values())
    assert document["norm_stats"]["actions"]["mean"] == [50.0] * 4
    assert document["norm_stats"]["state"]["q01"] == [2.0] * 5


def test_lerobot(found: list[DatasetStats]):
    document = export_stats(found[:1], "lerobot")
    assert list(document) == ["action", "observation.state"]
    action = document["action"]
    assert set(action) == {"min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"}
    assert action["count"] == [101]
    assert [action[k][0] for k in ("min", "q01", "q10", "q50", "q90", "q99", "max")] == [
        0,
        1,
        10,
        50,
        90,
        99,
        100,
    ]
    assert len(document["observation.state"]["q50"]) == 5


def test_several_data_sets_become_their_union(found: list[DatasetStats]):
    document = export_stats(found, "lerobot")["action"]
    values = np.concatenate([RAMP, RAMP + 100, RAMP + 100])
    assert document["count"] == [303]
    np.testing.assert_allclose(document["mean"], values.mean(), rtol=1e-6)
    np.testing.assert_allclose(document["std"], values.std(), rtol=1e-6)
    assert (document["min"][0], document["max"][0]) == (0, 200)
    np.testing.assert_allclose(document["q50"], np.quantile(values, 0.5), atol=1)
    merged = merge_stats(found)
    assert (merged.episodes, merged.steps, merged.notes) == (3, 303, ())
    assert merged.action is not None
    assert not merged.action.exact
    assert json.loads(json.dumps(merged.to_dict()))["action"]["count"] == 303


def test_one_data_set_keeps_its_exact_numbers(found: list[DatasetStats]):
    merged = merge_stats(found[:1])
    assert merged.action is not None
    assert merged.action.exact
    assert merged.action.norm == found[0].action.norm  # type: ignore[union-attr]


def test_a_file_is_written_whole(found: list[DatasetStats], tmp_path: Path):
    write_stats(tmp_path / "norm_stats.json", found[:1], "openpi")
    assert json.loads((tmp_path / "norm_stats.json").read_text()) == export_stats(found[:1], "openpi")


def test_what_cannot_be_exported_says_why(found: list[DatasetStats]):
    with pytest.raises(UnknownNameError, match="openpie"):
        export_stats(found, "openpie")
    with pytest.raises(DataError, match="one name"):
        export_stats([found[0], found[0]], "openvla")
    without = replace(found[0], action=None)
    with pytest.raises(DataError, match="no action"):
        export_stats([without], "openvla")


def test_unlike_data_sets_are_merged_with_a_word_or_not_at_all(found: list[DatasetStats]):
    first, second = found
    spec: ActionSpec = replace(first.robot.action, control_hz=99.0, gripper_closes=-1)
    turned = replace(second, robot=replace(second.robot, action=spec))
    notes = merge_stats([first, turned]).notes
    assert len(notes) == 1
    assert "mean different things: control_hz: 10.0 != 99.0, and 1 more" in notes[0]
    narrow = replace(second, action=second.state)
    merged = merge_stats([first, narrow])
    assert merged.action is None
    assert merged.notes == ("action: not merged, widths differ (made_up 4, other 5)",)
    with pytest.raises(DataError, match="no action") as caught:
        export_stats([first, narrow], "openpi")
    assert "widths differ" in str(caught.value)
