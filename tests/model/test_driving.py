"""Workers that die, simulators that fail, answers that come late."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.model.conftest import ROBOT

from vla_data.camera_control import LookingPolicy
from vla_data.errors import ConfigError, SimError
from vla_data.files import read_json, write_json
from vla_data.rollout_checks import BadActionError
from vla_data.sim import RandomPolicy
from vla_data.types import ActionChunk, InputSpec, ObservationWindow, Trial
from vla_model import driving
from vla_model.compare import compare
from vla_model.driving import Guarded, Unit, run_unit, run_units, units_of
from vla_model.eval_config import Arm, EvalConfig
from vla_model.evaluate import evaluate
from vla_model.latency import LatePolicy, late

CONFIG = EvalConfig(tasks=("reach",), trials=8, max_steps=20)
RANDOM = Arm("random", "random")
DEADLY, NEXT = "DEADLY_TRIALS", "seed"


def dying(unit: Unit) -> int:
    """`run_unit`, of which some trials kill their process, one of them once alone."""
    deadly = {int(i) for i in os.environ[DEADLY].split(",")}
    passing = Path(os.environ["DIED_ONCE"])
    real = driving._drive

    def drive(unit: Unit, trial: Trial, index: int):
        if index in deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if index == 1 and not passing.exists():
            passing.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return real(unit, trial, index)

    driving._drive = drive
    try:
        return run_unit(unit)
    finally:
        driving._drive = real


@pytest.mark.parametrize("workers", [1, 2])
def test_a_trial_that_kills_its_worker_twice_is_an_error_and_the_rest_is_not(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(DEADLY, "3,6")
    monkeypatch.setenv("DIED_ONCE", str(tmp_path / "died"))
    monkeypatch.setattr(driving, "run_unit", dying)
    result = evaluate((RANDOM,), CONFIG, tmp_path / "out", workers=workers)
    records = result.records["random"]
    assert [r.index for r in records if r.error] == [3, 6]
    assert all("died twice" in r.error for r in records if r.error)
    (row, _) = result.table
    assert (row.trials, row.errors) == (6, 2)
    left = {p.name for p in (tmp_path / "out" / "records" / "random").iterdir()}
    assert left == {"reach-0000.json", "reach-0005.json"}
    monkeypatch.undo()
    whole = evaluate((RANDOM,), CONFIG, tmp_path / "whole", workers=1)
    kept = [r for r in whole.records["random"] if r.index not in (3, 6)]
    assert [r for r in records if not r.error] == kept
    assert compare(tmp_path / "out", tmp_path / "whole").total.trials == 6


class Failing:
    """Fails at the first steps of some environments."""

    def __init__(self, env, failures: list[bool]) -> None:
        self.env, self.failures = env, failures

    def __getattr__(self, name: str):
        return getattr(self.env, name)

    def step(self, *args, **named):
        if self.failures.pop(0):
            raise RuntimeError("the physics diverged")
        return self.env.step(*args, **named)


def run_with(failures: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    real = driving.open_env.__wrapped__
    made = []

    def opened(*asked):
        made.append(1)
        return Failing(real(*asked), failures)

    opened.cache_clear = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setattr(driving, "open_env", opened)
    (unit,) = units_of(RANDOM, replace(CONFIG, trials=2, max_steps=3), tmp_path)
    run_unit(unit)
    return read_json(Path(unit.path))


def test_a_simulator_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    records = run_with([False, True, *[False] * 20], tmp_path, monkeypatch)
    assert [r["error"] for r in records] == ["", ""]
    assert [r["steps"] for r in records] == [3, 3]


def test_a_simulator_that_fails_twice_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    records = run_with([True, True, *[False] * 20], tmp_path, monkeypatch)
    assert "the physics diverged" in records[0]["error"]
    assert records[1]["error"] == ""


def test_a_policy_that_answers_wrongly_ends_the_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Wrong(RandomPolicy):
        def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
            return [replace(c, actions=c.actions * np.nan) for c in super().infer(windows)]

    monkeypatch.setattr(driving, "make_policy", lambda arm, env: Wrong(env.robot))
    (unit,) = units_of(RANDOM, replace(CONFIG, trials=1), tmp_path)
    with pytest.raises(BadActionError, match="not finite"):
        run_unit(unit)
    assert not Path(unit.path).exists()


def test_what_a_simulator_says_on_purpose_passes_through():
    class Refusing:
        num_envs, robot, cameras, tasks = 1, ROBOT, (), ("any",)

        def max_steps(self, task: str) -> int:
            return 1

        def reset(self, slots, trials):
            raise SimError("no such placement")

        def step(self, slots, actions):
            raise ZeroDivisionError

        def observe(self, slots, **asked):
            return []

        def close(self) -> None: ...

    guarded = Guarded(Refusing())
    with pytest.raises(SimError, match="no such placement"):
        guarded.reset([0], [])
    with pytest.raises(SimError, match="ZeroDivisionError"):
        guarded.step([0], [])


def test_a_note_of_a_trial_under_way_does_no_harm(tmp_path: Path):
    (unit,) = units_of(RANDOM, replace(CONFIG, trials=2), tmp_path)
    write_json(unit.under_way, {"index": 1})
    seen = []
    run_units([unit], 1, seen.append)
    assert seen == [unit]
    assert not unit.under_way.exists()


class Counting:
    """Its chunk k holds 100·k, 100·k + 1, … in x; the gripper stays at k."""

    input_spec = InputSpec(ROBOT, (), action_horizon=16)

    def __init__(self) -> None:
        self.count = 0

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None: ...

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        self.count += 1
        actions = np.zeros((16, 4), np.float32)
        actions[:, 0] = 100 * self.count + np.arange(16)
        actions[:, 3] = self.count
        return [ActionChunk(actions, ROBOT.action) for _ in windows]


def said(policy, times: int) -> list[list[float]]:
    window = policy.input_spec.fake_window()
    return [policy.infer([window])[0].actions[:, 0].tolist() for _ in range(times)]


def test_a_late_answer_leaves_out_what_has_passed():
    policy, execute = late(Counting(), 50, 8)  # four steps at 80 Hz
    assert execute == 12
    first, second, third = said(policy, 3)
    assert first == [0, 0, 0, 0, *range(104, 112)]  # keeps still, as nothing was said before
    assert second == [112, 113, 114, 115, *range(204, 212)]
    assert third == [212, 213, 214, 215, *range(304, 312)]
    policy.reset([0], [0])
    assert said(policy, 1)[0][:4] == [0, 0, 0, 0]


def test_an_answer_that_comes_too_late_is_waited_for():
    policy, execute = late(Counting(), 200, 8)  # sixteen steps: all of the chunk
    assert execute == 24
    first, second = said(policy, 2)
    assert second == [0] * 16 + list(range(208, 216))
    grips = policy.infer([policy.input_spec.fake_window()])[0].actions[:, 3]
    assert set(grips[:16]) == {3}  # what is absolute keeps its value
    assert len(first) == policy.input_spec.action_horizon == 24


@given(st.floats(0, 400), st.integers(1, 40))
def test_late_chunks_have_the_length_that_is_carried_out(latency: float, execute: int):
    policy, carried_out = late(Counting(), latency, execute)
    if isinstance(policy, LatePolicy):
        assert [len(s) for s in said(policy, 3)] == [carried_out] * 3
    else:
        assert carried_out == min(execute, 16)


def test_without_latency_nothing_is_changed_and_bad_ones_are_refused():
    policy = Counting()
    assert late(policy, 0, 8) == (policy, 8)
    with pytest.raises(ConfigError, match="latency"):
        EvalConfig(latency=-1)

    class Looking(Counting):
        def look(self, windows):
            return [None for _ in windows]

    assert isinstance(Looking(), LookingPolicy)
    with pytest.raises(ConfigError, match="moves cameras"):
        late(Looking(), 50, 8)


def test_latency_is_a_switch_of_the_protocol(tmp_path: Path):
    config = replace(CONFIG, tasks=("reach",), trials=4, max_steps=80)
    expert = (Arm("expert", "expert"),)
    soon = evaluate(expert, config, tmp_path / "soon", workers=1)
    later = evaluate(expert, replace(config, latency=25), tmp_path / "later", workers=1)
    assert sum(r.steps for r in later.records["expert"]) > sum(r.steps for r in soon.records["expert"])
    assert compare(tmp_path / "soon", tmp_path / "later").total.trials == 4
