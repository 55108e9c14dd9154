"""The roll-out loop, with a counting environment where that is sharper and Meta-World where it is truer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_data.camera_control import CameraControl
from vla_data.errors import ConfigError, SpecMismatchError
from vla_data.rollout import MOST_LOOKS, BadActionError, Rollout, RolloutConfig, rollout
from vla_data.sim import CameraView, RandomPolicy, SimConfig, make_expert
from vla_data.sim.metaworld import MetaWorldEnv
from vla_data.types import (
    ActionChunk,
    ActionDim,
    ActionSpec,
    Camera,
    CameraInput,
    InputSpec,
    Observation,
    ObservationWindow,
    RobotSpec,
    StateDim,
    StepResult,
    Trial,
)

SPEC = ActionSpec((ActionDim("x", "position", "delta", "world"),), control_hz=10.0)
ROBOT = RobotSpec("counter", SPEC, (StateDim("place"),))


class CountingEnv:
    """A point that moves by its action; success once it is past the trial's seed / 10. Notes every look."""

    def __init__(self, num_envs: int = 1, horizon: int = 30) -> None:
        self.num_envs, self.robot, self.horizon = num_envs, ROBOT, horizon
        self.cameras = (Camera("eye", 4, 4), Camera("other", 6, 6))
        self.tasks = ("go",)
        self.looks: list[tuple[int, int, bool, bool]] = []
        self.executed: list[np.ndarray] = []
        self._at: dict[int, tuple[Trial, float, int]] = {}

    def max_steps(self, task: str) -> int:
        return self.horizon

    def reset(self, slots: Sequence[int], trials: Sequence[Trial]) -> None:
        self._at |= {slot: (trial, 0.0, 0) for slot, trial in zip(slots, trials, strict=True)}

    def step(self, slots: Sequence[int], actions: np.ndarray) -> list[StepResult]:
        results = []
        for slot, action in zip(slots, actions, strict=True):
            trial, place, steps = self._at[slot]
            self._at[slot] = (trial, place + float(action[0]), steps + 1)
            self.executed.append(action.copy())
            results.append(StepResult(1.0, bool(place + action[0] > trial.seed / 10)))
        return results

    def observe(self, slots: Sequence[int], **asked: bool) -> list[Observation]:
        found = []
        for slot in slots:
            trial, place, steps = self._at[slot]
            self.looks.append((slot, steps, asked["images"], asked["privileged"]))
            sizes = {c.name: np.full((c.height, c.width, 3), steps, np.uint8) for c in self.cameras}
            found.append(
                Observation(
                    steps / 10,
                    sizes if asked["images"] else {},
                    np.array([place], np.float32),
                    trial.instruction,
                    privileged={"secret": np.ones(1)},  # also where nobody asked
                )
            )
        return found

    def close(self) -> None: ...


class Scripted:
    """Answers with a fixed chunk and notes what it was shown."""

    def __init__(self, chunk: Any, **spec: Any) -> None:
        self.chunk = np.asarray(chunk)
        values: dict[str, Any] = {"robot": ROBOT, "cameras": (CameraInput("eye", 4, 4),)}
        values |= {"action_horizon": len(self.chunk)} | spec
        self.input_spec = InputSpec(**values)
        self.windows: list[ObservationWindow] = []

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None: ...

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        self.windows += windows
        return [ActionChunk(self.chunk, SPEC) for _ in windows]


STEP = np.full((4, 1), 0.5, np.float32)
FAR = Trial("go", 10_000, "go far")


def only(results: Iterator[Rollout]) -> Rollout:
    (result,) = list(results)
    return result


def test_a_policy_looks_once_in_execute_steps() -> None:
    env = CountingEnv(horizon=12)
    result = only(rollout(env, Scripted(STEP), [FAR], RolloutConfig(execute=3)))
    assert [step for _, step, _, _ in env.looks] == [0, 3, 6, 9]
    assert (result.steps, result.inferences, result.success) == (12, 4, False)


def test_a_chunk_shorter_than_execute_is_carried_out_whole() -> None:
    env = CountingEnv(horizon=12)
    assert only(rollout(env, Scripted(STEP), [FAR], RolloutConfig(execute=8))).inferences == 3


def test_a_history_is_the_last_instants_and_the_actions_between() -> None:
    env, policy = (
        CountingEnv(horizon=9),
        Scripted(np.array([[0.1], [0.2], [0.3], [0.4]], np.float32), history=3),
    )
    only(rollout(env, policy, [FAR], RolloutConfig(execute=4)))
    assert [step for _, step, _, _ in env.looks] == [0, 2, 3, 4, 6, 7, 8]
    first, second, third = policy.windows
    assert [o.time for o in first.observations] == [0, 0, 0]
    assert first.past_actions.tolist() == [[0], [0]]
    assert [round(o.time * 10) for o in second.observations] == [2, 3, 4]
    np.testing.assert_allclose(second.past_actions[:, 0], [0.3, 0.4], atol=1e-6)
    assert [round(o.time * 10) for o in third.observations] == [6, 7, 8]


def test_nothing_is_drawn_for_a_policy_without_cameras() -> None:
    env = CountingEnv()
    only(rollout(env, Scripted(STEP, cameras=()), [FAR]))
    assert not any(images for _, _, images, _ in env.looks)


def test_simulator_state_reaches_only_privileged_policies() -> None:
    for privileged in (False, True):
        env, policy = CountingEnv(), Scripted(STEP, privileged=privileged)
        only(rollout(env, policy, [FAR]))
        assert {asked for *_, asked in env.looks} == {privileged}
        assert all(bool(w.latest.privileged) == privileged for w in policy.windows)
        assert all(set(w.latest.images) == {"eye"} for w in policy.windows)


def test_other_meanings_of_an_action_are_refused_before_the_first_step() -> None:
    faster = replace(ROBOT, action=replace(SPEC, control_hz=20.0))
    blind = replace(ROBOT, state=())
    for spec in ({"robot": faster}, {"robot": blind}, {"cameras": (CameraInput("eye", 8, 8),)},
                 {"cameras": (CameraInput("ear", 4, 4),)}):  # fmt: skip
        env = CountingEnv()
        with pytest.raises(SpecMismatchError):
            rollout(env, Scripted(STEP, **spec), [FAR])
        assert env.looks == []


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    "chunk",
    [
        np.array([[0.1], [np.nan], [0], [0]], np.float32),
        np.array([[np.inf]] * 4, np.float32),
        np.zeros((4, 2), np.float32),
        np.zeros((3, 1), np.float32),
        np.zeros(4, np.float32),
        np.zeros((4, 1), int),
    ],
)
def test_bad_chunks_are_named(chunk: np.ndarray) -> None:
    policy = Scripted(chunk, action_horizon=4)
    with pytest.raises(BadActionError, match="task go, seed 10000"):
        list(rollout(CountingEnv(), policy, [FAR]))


def test_too_few_chunks_are_named() -> None:
    policy = Scripted(STEP)
    policy.infer = lambda windows: []  # type: ignore[method-assign]
    with pytest.raises(BadActionError, match="number of chunks"):
        list(rollout(CountingEnv(), policy, [FAR]))


def test_success_ends_a_trial_after_the_steps_asked_for() -> None:
    trial = Trial("go", 20, "")  # past 2.0: at the fifth step of 0.5
    for more in (0, 3):
        config = RolloutConfig(steps_after_success=more, record=True)
        result = only(rollout(CountingEnv(), Scripted(STEP), [trial], config))
        assert (result.success, result.success_step, result.steps) == (True, 4, 5 + more)
        assert result.episode is not None
        assert len(result.episode) == 5 + more
        assert result.reward == 5 + more


def test_max_steps_wins_over_the_horizon() -> None:
    assert only(rollout(CountingEnv(), Scripted(STEP), [FAR], RolloutConfig(max_steps=5))).steps == 5


def test_an_episode_holds_what_was_seen_and_the_clean_clipped_action() -> None:
    env = CountingEnv(horizon=6)
    loud = Scripted(np.array([[0.25], [7.0]], np.float32))
    config = RolloutConfig(execute=2, noise=0.2, record=True)
    episode = only(rollout(env, loud, [FAR], config)).episode
    assert episode is not None
    assert episode.action[:, 0].tolist() == [0.25, 1.0] * 3
    assert [int(frame[0, 0, 0]) for frame in (episode.images["eye"][i] for i in range(6))] == list(range(6))
    assert set(episode.images) == {"eye", "other"}
    assert episode.instruction == "go far"
    assert episode.metadata["seed"] == 10_000
    assert episode.series["reward"].tolist() == [1.0] * 6
    executed = np.array(env.executed)[:, 0]
    assert np.abs(executed - episode.action[:, 0]).max() > 0.01
    assert executed.max() <= 1.0
    np.testing.assert_allclose(episode.state[1:, 0], np.cumsum(executed)[:-1], atol=1e-5)


@given(st.lists(st.integers(0, 60), min_size=0, max_size=9), st.integers(1, 4), st.floats(0, 0.5))
def test_outcomes_do_not_depend_on_what_runs_beside(seeds: list[int], num_envs: int, noise: float) -> None:
    trials = [Trial("go", seed, "") for seed in seeds]
    config = RolloutConfig(execute=2, noise=noise)

    def outcomes(env: CountingEnv, some: list[Trial]) -> dict[int, tuple[int, float]]:
        policy = RandomPolicy(ROBOT, action_horizon=2)
        return {r.index: (r.steps, r.reward) for r in rollout(env, policy, some, config)}

    together = outcomes(CountingEnv(num_envs), trials)
    alone = [outcomes(CountingEnv(1), [trial])[0] for trial in trials]
    assert together == dict(enumerate(alone))


def test_impossible_configurations_are_refused() -> None:
    for bad in ({"execute": 0}, {"noise": -1.0}, {"steps_after_success": -1}):
        with pytest.raises(ConfigError):
            RolloutConfig(**bad)  # type: ignore[arg-type]


# In Meta-World

VIEWS = SimConfig(
    cameras=(CameraView("corner4", "corner4", 32, 32), CameraView("hand", "gripperPOV", 32, 32))
)
TRIALS = [Trial(task, seed, "") for seed in (1, 2) for task in ("reach", "window-open")]


@pytest.fixture(scope="module")
def envs() -> Iterator[dict[int, MetaWorldEnv]]:
    made = {n: MetaWorldEnv(("reach", "window-open"), VIEWS, num_envs=n) for n in (1, 3)}
    yield made
    for env in made.values():
        env.close()


@pytest.mark.parametrize("policy", ["expert", "random"])
def test_metaworld_outcomes_do_not_depend_on_num_envs(envs: dict[int, MetaWorldEnv], policy: str) -> None:
    config = RolloutConfig(execute=4, noise=0.1, max_steps=120, record=False)
    found = []
    for env in envs.values():
        driver = make_expert(env) if policy == "expert" else RandomPolicy(env.robot)
        results = sorted(rollout(env, driver, TRIALS, config), key=lambda r: r.index)
        found.append([(r.trial, r.success, r.steps, r.reward) for r in results])
    assert found[0] == found[1]
    assert all(success for _, success, _, _ in found[0]) == (policy == "expert")


def test_a_recorded_demonstration(envs: dict[int, MetaWorldEnv]) -> None:
    env = envs[1]
    config = RolloutConfig(noise=0.1, steps_after_success=6, record=True, depth=True, segmentation=True)
    result = only(rollout(env, make_expert(env), TRIALS[:1], config))
    plain = only(rollout(env, make_expert(env), TRIALS[:1], replace(config, record=False)))
    assert (plain.success, plain.steps, plain.reward) == (result.success, result.steps, result.reward)
    episode = result.episode
    assert episode is not None
    assert plain.episode is None
    assert result.success_step is not None
    assert len(episode) == result.steps == result.success_step + 7
    assert set(episode.images) == set(episode.cameras) == set(episode.depth) == {"corner4", "hand"}
    assert set(episode.series) == {
        "reward", "success", "phase", "pose/hand", "segmentation/corner4", "segmentation/hand",
    }  # fmt: skip
    assert episode.series["pose/hand"].shape == (len(episode), 4, 4)
    assert np.abs(episode.action).max() <= 1
    np.testing.assert_allclose(np.diff(episode.time), 1 / 80)
    assert not np.array_equal(episode.images["hand"][0], episode.images["hand"][len(episode) - 1])


class TurningEnv(CountingEnv):
    """Its eye shows 100 where it looks to the right; looking is noted."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.turned: dict[int, str] = {}

    def reset(self, slots: Sequence[int], trials: Sequence[Trial]) -> None:
        super().reset(slots, trials)
        self.turned |= dict.fromkeys(slots, "left")

    def observe(self, slots: Sequence[int], **asked: bool) -> list[Observation]:
        asked = {"images": True, "privileged": False} | asked
        found = super().observe(slots, **asked)
        bright = {s: np.full((4, 4, 3), 100 if self.turned[s] == "right" else 0, np.uint8) for s in slots}
        return [
            replace(o, images={"eye": bright[s]}, places={"eye": self.turned[s]})
            for s, o in zip(slots, found, strict=True)
        ]

    def control_cameras(self, slots: Sequence[int], controls: Sequence[CameraControl]) -> None:
        self.turned |= {s: c.camera for s, c in zip(slots, controls, strict=True)}


class Looker(Scripted):
    """Asks for a view by turns: `wants` at each look, None to stay."""

    def __init__(self, wants: Sequence[str | None]) -> None:
        super().__init__(STEP)
        self.wants = list(wants)
        self.asked: list[tuple[str, int]] = []

    def look(self, windows: Sequence[ObservationWindow]) -> list[CameraControl | None]:
        want = self.wants.pop(0) if self.wants else None
        self.asked += [(w.latest.places["eye"], int(w.latest.images["eye"].mean())) for w in windows]
        return [CameraControl("choose", want) if want else None for _ in windows]


def test_a_policy_that_looks_around_acts_on_what_it_then_sees() -> None:
    env, policy = TurningEnv(horizon=4), Looker(["right", None])
    result = only(rollout(env, policy, [FAR], RolloutConfig(execute=4)))
    assert policy.asked == [("left", 0), ("right", 100)]
    assert [int(w.latest.images["eye"].mean()) for w in policy.windows] == [100]
    assert result.controls == ((0, CameraControl("choose", "right")),)
    assert result.steps == 4  # looking took none


def test_a_policy_that_never_stops_looking_has_to_act() -> None:
    policy = Looker(["right", "left"] * 50)
    result = only(rollout(TurningEnv(horizon=8), policy, [FAR], RolloutConfig(execute=4)))
    assert result.inferences == 2
    assert [step for step, _ in result.controls] == [0] * MOST_LOOKS + [4] * MOST_LOOKS


def test_what_is_recorded_is_what_was_acted_on() -> None:
    options = RolloutConfig(execute=4, record=True)
    result = only(rollout(TurningEnv(horizon=4), Looker(["right"]), [FAR], options))
    assert result.episode is not None
    assert [int(result.episode.images["eye"][t].mean()) for t in range(4)] == [100] * 4


@pytest.mark.parametrize("kept", [{"depth": True}, {"segmentation": True}])
def test_a_policy_that_looks_around_needs_cameras_that_move(kept: dict) -> None:
    with pytest.raises(ConfigError, match="control_cameras"):
        only(rollout(CountingEnv(), Looker([]), [FAR]))
    with pytest.raises(ConfigError, match="depth, masks or labels"):
        only(rollout(TurningEnv(), Looker([]), [FAR], RolloutConfig(record=True, **kept)))
