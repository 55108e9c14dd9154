"""Trials on a robot, one after the other: run, judged, kept, and gone on with after an interruption.

A trial is kept when it was judged: its episode as one shard of a data set that trains again, then its result.
Whatever ends a session, a person, an unplugged cable or a crash, loses the trial under way and no other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError
from vla_data.files import read_json, write_json
from vla_data.protocols import OnProgress, Policy, Progress, no_progress
from vla_data.robots.episode_log import VERSION, KeptEpisodes
from vla_data.robots.robot_env import RobotEnv
from vla_data.robots.scene import Scene, Verdict
from vla_data.rollout import Rollout, RolloutConfig, rollout
from vla_data.types import Trial


@dataclass(frozen=True)
class Judged:
    """What a trial came to."""

    task: str
    index: int
    seed: int
    instruction: str
    success: bool
    steps: int


@dataclass(frozen=True, eq=False)
class Session:
    """Where trials on a robot are kept.

    Args:
        out: directory of results and episodes.
        name: of the data set of episodes.
        trials: all of them, in the order in which they are run.
        successes_only: episodes of failures are not kept.
    """

    out: Path
    name: str
    trials: tuple[Trial, ...]
    successes_only: bool = False

    @property
    def episodes(self) -> Path:
        """The data set, once all trials are judged."""
        return self.out / "episodes" / self.name / VERSION

    def result(self, number: int) -> Path:
        """The file of a trial's result."""
        return self.out / "trials" / f"{number:05d}.json"

    def finished(self) -> dict[int, Judged]:
        """What was judged so far."""
        files = {n: self.result(n) for n in range(len(self.trials))}
        return {n: from_dict(Judged, read_json(f), where=str(f)) for n, f in files.items() if f.is_file()}


def run_session(
    session: Session,
    env: RobotEnv,
    policy: Policy,
    scene: Scene,
    options: RolloutConfig,
    on_progress: OnProgress = no_progress,
) -> list[Judged]:
    """Run what is not finished yet; all results, in order.

    Raises:
        StoppedByPersonError: a person ended the session.
        RefusedError, RobotError: the robot was stopped, or does not answer.
        ConfigError: the directory holds trials of another kind.
    """
    done = session.finished()
    for number, known in done.items():
        if _asked(known) != session.trials[number]:
            raise ConfigError(
                "the directory holds other trials",
                where=str(session.result(number)),
                expected=f"{session.trials[number]}",
                got=f"{_asked(known)}",
                next_step="choose another --out",
            )
    kept = KeptEpisodes(session.out, session.name, env.robot, env.cameras, len(session.trials))
    total = len(session.trials)
    on_progress(Progress("trials", len(done), total, "trials"))
    for number, trial in enumerate(session.trials):
        if number in done:
            continue
        ran, success = _judged(env, policy, scene, trial, replace(options, record=True))
        if ran.episode is not None and (success or not session.successes_only):
            told = {**ran.episode.metadata, "success": success}
            kept.keep(number, replace(ran.episode, metadata=told))
        earlier = sum(t.task == trial.task for t in session.trials[:number])
        done[number] = Judged(trial.task, earlier, trial.seed, trial.instruction, success, ran.steps)
        write_json(session.result(number), to_dict(done[number]))
        said = f"{trial.task}: {'success' if success else 'failure'}"
        on_progress(Progress("trials", len(done), total, "trials", message=said))
    kept.assemble(f"Episodes of {env.robot.name}, judged one by one.")
    kept.forget()
    return [done[n] for n in range(total)]


def _judged(
    env: RobotEnv, policy: Policy, scene: Scene, trial: Trial, options: RolloutConfig
) -> tuple[Rollout, bool]:
    """A trial, as often as it is to be done again."""
    while True:
        (ran,) = rollout(env, policy, [trial], options)
        env.close()
        verdict: Verdict = scene.judge(trial)
        if verdict != "again":
            return ran, verdict == "success"


def _asked(judged: Judged) -> Trial:
    return Trial(judged.task, judged.seed, judged.instruction)
