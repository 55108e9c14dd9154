"""The scripted expert for LIBERO: how it takes hold of things, and that it does what it is for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_data.errors import UnknownNameError
from vla_data.rollout import RolloutConfig, rollout
from vla_data.sim import (
    SimConfig,
    chosen_tasks,
    instructions,
    libero_names,
    make_env,
    make_expert,
    pictures_of,
)
from vla_data.sim.libero import PRIVILEGED, LiberoEnv
from vla_data.sim.libero_arm import half_turn, rotation_vector, turned
from vla_data.sim.libero_expert import programme
from vla_data.sim.libero_grasps import OPENING, around, by_rim, closing
from vla_data.sim.libero_skills import MOST_LEANING, SHOULDER, WRIST_ABOVE, Skills, leaning
from vla_data.sim.libero_spots import words
from vla_data.sim.placements import placement_seed
from vla_data.types import ObservationWindow, Trial

NOTHING = np.zeros((0, 3))
NOBODY = Skills.__new__(Skills)
angles = st.floats(-np.pi, np.pi)


def box(size: tuple[float, float, float], at: tuple[float, float, float] = (0, 0, 0), yaw: float = 0.0):
    """Points on the sides of a box that stands on the ground at `at`."""
    ticks = [np.linspace(-0.5, 0.5, 9)] * 3
    grid = np.stack(np.meshgrid(*ticks), axis=-1).reshape(-1, 3) * size
    side = (np.abs(grid) >= np.array(size) / 2 - 1e-9).any(axis=1)
    return grid[side] @ turned(yaw).T + np.array(at) + [0, 0, size[2] / 2]


def ring(radius: float, height: float, at: tuple[float, float, float] = (0, 0, 0)):
    turns = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    levels = np.linspace(0, height, 6)
    circle = np.stack([np.cos(turns) * radius, np.sin(turns) * radius], axis=1)
    return np.concatenate([np.c_[circle, np.full(40, z)] for z in levels]) + at


@given(st.floats(-1.5, 1.5), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_a_box_is_taken_across_its_narrow_side_wherever_it_stands(yaw: float, x: float, y: float) -> None:
    best = around(box((0.03, 0.10, 0.06), (x, y, 0.9), yaw), NOTHING)[0]
    across = turned(yaw)[:2, 0]
    assert abs(closing(best.yaw) @ across) > np.cos(np.deg2rad(4))
    np.testing.assert_allclose(best.position[:2], [x, y], atol=0.005)
    assert 0.9 < best.position[2] < 0.96


def test_what_is_too_wide_is_taken_where_it_is_narrow() -> None:
    body, handle = box((0.10, 0.10, 0.10)), box((0.015, 0.05, 0.03), (0, 0.075, 0.06))
    best = around(np.concatenate([body, handle]), NOTHING)[0]
    assert best.cost < OPENING
    assert best.position[1] > 0.05
    assert abs(closing(best.yaw)[0]) > 0.9


def test_fingers_and_hand_stay_clear_of_neighbours() -> None:
    thing = box((0.05, 0.05, 0.05))
    free = around(thing, NOTHING)[0]
    assert abs(free.yaw) < 0.01
    wall = box((0.2, 0.01, 0.05), (0, 0.045, 0))  # where a finger would come down
    beside = around(thing, wall)[0]
    assert abs(closing(beside.yaw)[0]) > 0.7
    tower = box((0.02, 0.02, 0.3), (0, 0.09, 0))  # beyond the fingers, under the hand
    under = around(thing, tower)[0]
    assert abs(closing(under.yaw)[0]) > 0.5


def test_a_bowl_is_taken_by_its_rim_and_a_mug_by_its_wall_not_by_its_handle() -> None:
    bowl = by_rim(ring(0.055, 0.05, (0.1, 0.2, 0.9)), NOTHING)[0]
    from_centre = np.linalg.norm(bowl.position[:2] - [0.1, 0.2])
    assert 0.04 < from_centre < 0.055
    assert bowl.position[2] == pytest.approx(0.95 - 0.018)
    mug = np.concatenate([ring(0.04, 0.09), box((0.04, 0.01, 0.05), (0.06, 0, 0.01))])
    for grasp in by_rim(mug, NOTHING):
        assert 0.015 < np.linalg.norm(grasp.position[:2]) < 0.04


def test_a_bowl_in_a_drawer_is_taken_where_fingers_have_room() -> None:
    walls = np.concatenate([box((0.2, 0.01, 0.07), (0, y, -0.01)) for y in (-0.075, 0.075)])
    best = by_rim(ring(0.055, 0.05), walls)[0]
    assert abs(closing(best.yaw)[0]) > 0.5  # along the drawer's free direction


@given(angles)
def test_rotations_about_the_vertical_and_their_vectors(angle: float) -> None:
    turn = turned(angle)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert abs(half_turn(angle)) <= np.pi / 2 + 1e-9
    line, same = closing(angle), closing(half_turn(angle))
    assert abs(line @ same) == pytest.approx(1)
    if abs(abs(angle) - np.pi) > 1e-3:
        np.testing.assert_allclose(rotation_vector(turn), [0, 0, angle], atol=1e-6)


def test_names_in_words_and_what_it_cannot_do(caplog: pytest.LogCaptureFixture) -> None:
    assert words("akita_black_bowl_1") == "akita black bowl"
    assert words("white_cabinet_1_bottom_region") == "white cabinet bottom"
    for fact in (["printjointstate", "stove"], ["open", "microwave_1"]):
        assert list(programme(NOBODY, [fact], "libero_10/some")) == []
        assert f"{fact[0]} {fact[1]}" in caplog.text
        assert "libero_10/some" in caplog.text


def test_a_suite_stands_for_its_tasks() -> None:
    assert len(chosen_tasks("libero", ("libero_object", "libero_object"))) == 10
    assert len(chosen_tasks("libero", ("all",))) == 130
    assert chosen_tasks("metaworld", ("reach", "push", "reach")) == ("reach", "push")
    with pytest.raises(UnknownNameError) as caught:
        chosen_tasks("libero", ("libero_objekt",))
    assert caught.value.matches


def test_substituted_visuals_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scenes").mkdir()
    monkeypatch.setenv(libero_names.ASSETS_VARIABLE, str(tmp_path))
    assert pictures_of("libero") == "LIBERO"
    (tmp_path / "README.md").write_text('label it "LIBERO, substituted visuals"')
    assert pictures_of("libero") == "LIBERO, substituted visuals"
    assert pictures_of("metaworld") == "metaworld"


BOWL = (
    "libero_spatial/pick_up_the_black_bowl_in_the_top_drawer_of_the_wooden_cabinet_and_place_it_on_the_plate"
)
DRIVEN = {
    "libero_object/pick_up_the_butter_and_place_it_in_the_basket": "basket",
    BOWL: "plate",
    "libero_goal/open_the_middle_drawer_of_the_cabinet": "pull",
    "libero_goal/turn_on_the_stove": "knob",
    "libero_10/KITCHEN_SCENE4_put_the_black_bowl_in_the_bottom_drawer_of_the_cabinet_and_close_it": "shut",
}


@pytest.mark.parametrize("task", DRIVEN)
def test_the_expert_does_its_tasks_and_says_what_it_is_about(
    task: str, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(libero_names.ASSETS_VARIABLE, str(shared / "libero-assets"))
    env = make_env("libero", (task,), SimConfig(cameras=()))
    trial = Trial(task, placement_seed("validation", 0), instructions("libero", task)[0])
    (done,) = rollout(env, make_expert(env), [trial], RolloutConfig(execute=1, record=True))
    assert done.success
    assert done.steps < env.max_steps(task)
    env.close()
    assert done.episode is not None
    said = [s.text for s in done.episode.substeps]
    assert len(said) >= 3
    assert any(DRIVEN[task] in text for text in said)


def test_tasks_of_one_scene_are_done_one_after_the_other_where_the_last_one_ended(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(libero_names.ASSETS_VARIABLE, str(shared / "libero-assets"))
    stove, bowl = "libero_goal/turn_on_the_stove", "libero_goal/put_the_bowl_on_the_stove"
    elsewhere = "libero_object/pick_up_the_butter_and_place_it_in_the_basket"
    env = make_env("libero", (stove, bowl, elsewhere), SimConfig(cameras=()))
    assert isinstance(env, LiberoEnv)
    expert = make_expert(env)

    def driven() -> bool:
        expert.reset([0], [0])
        for _ in range(env.max_steps(bowl)):
            (seen,) = env.observe([0], images=False, privileged=True)
            (chunk,) = expert.infer([ObservationWindow((seen,), np.zeros((0, 7), np.float32))])
            (result,) = env.step([0], chunk.actions)
            if result.success:
                return True
        return False

    def scene() -> np.ndarray:
        return env.observe([0], images=False, privileged=True)[0].privileged[PRIVILEGED]

    env.reset([0], [Trial(stove, placement_seed("validation", 1), "")])
    assert driven()
    before = scene()
    assert not env.go_on(0, Trial(elsewhere, 1, ""))
    assert env.go_on(0, Trial(bowl, 1, "put the bowl on the stove"))
    np.testing.assert_array_equal(scene(), before)
    assert not env.step([0], np.zeros((1, 7), np.float32))[0].success
    assert driven()
    assert [fact[0] for fact in env.inside(0)[2]] == ["on"]
    env.reset([0], [Trial(stove, placement_seed("validation", 1), "")])
    assert [fact[0] for fact in env.inside(0)[2]] == ["turnon"]
    env.close()


def test_a_hand_leans_only_where_the_arm_would_have_to_stretch():
    """Its tips lead outwards; the wrist, which is what has to be reached, comes nearer to the shoulder."""
    base = np.array([-0.6, 0.1, 0.9])
    down = np.diag([1.0, -1.0, -1.0])
    np.testing.assert_allclose(leaning(base + np.array([0.4, 0.2, 0.2]), base), np.eye(3), atol=1e-12)
    for way in ([0.75, 0.0, 0.3], [0.5, -0.6, 0.3], [0.7, 0.3, 0.2]):
        tips = base + np.array(way)
        lean = leaning(tips, base)
        np.testing.assert_allclose(lean @ lean.T, np.eye(3), atol=1e-12)
        points = (lean @ down)[:, 2]  # from wrist to tips
        outwards = np.array([*way[:2], 0.0]) / np.hypot(way[0], way[1])
        assert 0 < points @ outwards <= np.sin(MOST_LEANING) + 1e-9
        assert abs(np.cross(outwards, points)[2]) < 1e-12  # straight away from the foot
        shoulder = base + np.array([0, 0, SHOULDER])
        wrists = [tips - WRIST_ABOVE * p for p in (down[:, 2], points)]
        straight, leant = (np.linalg.norm(w - shoulder) for w in wrists)
        assert leant < straight
