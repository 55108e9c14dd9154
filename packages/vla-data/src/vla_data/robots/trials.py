"""Trials on a robot, one after the other: run, judged, kept, and gone on with after an interruption.

A trial is kept when it was judged: its episode as one shard of a data set that trains again, then its result.
Whatever ends a session, a person, an unplugged cable or a crash, loses the trial under way and no other.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError
from vla_data.files import atomic_directory, read_json, write_json
from vla_data.protocols import OnProgress, Policy, Progress, no_progress
from vla_data.robots.robot_env import RobotEnv
from vla_data.robots.scene import Scene, Verdict
from vla_data.rollout import Rollout, RolloutConfig, rollout
from vla_data.types import Episode, Trial

SPLIT, VERSION = "train", "1.0.0"


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

    @property
    def kept(self) -> Path:
        """Its shards until then, numbered like the trials."""
        return self.out / "kept"

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
    total = len(session.trials)
    on_progress(Progress("trials", len(done), total, "trials"))
    for number, trial in enumerate(session.trials):
        if number in done:
            continue
        ran, success = _judged(env, policy, scene, trial, replace(options, record=True))
        if ran.episode is not None and (success or not session.successes_only):
            _keep(session, env, number, ran.episode, success)
        earlier = sum(t.task == trial.task for t in session.trials[:number])
        done[number] = Judged(trial.task, earlier, trial.seed, trial.instruction, success, ran.steps)
        write_json(session.result(number), to_dict(done[number]))
        said = f"{trial.task}: {'success' if success else 'failure'}"
        on_progress(Progress("trials", len(done), total, "trials", message=said))
    if session.kept.is_dir():
        _assemble(session, f"Episodes of {env.robot.name}, judged one by one.")
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


def _keep(session: Session, env: RobotEnv, number: int, episode: Episode, success: bool) -> None:
    from vla_data.formats.rlds import RldsWriter

    cameras = {camera.name: camera for camera in env.cameras}
    told = replace(episode, metadata={**episode.metadata, "success": success})
    with RldsWriter(
        session.kept,
        session.name,
        env.robot,
        cameras,
        version=VERSION,
        split=SPLIT,
        shard=(number, len(session.trials)),
        image_encoding="png",
    ) as writer:
        writer.write(told)


def _assemble(session: Session, description: str) -> None:
    """Make the data set of what was kept: shards in a row, whatever trials are missing between them."""
    from vla_data.formats.rlds import finish_dataset, shard_path
    from vla_data.formats.rlds.writer import schema_path

    every = range(len(session.trials))
    shards = [shard_path(session.kept, session.name, SPLIT, n, len(every)) for n in every]
    shards = [s for s in shards if s.is_file()]
    with atomic_directory(session.episodes) as part:
        for number, shard in enumerate(shards):
            target = shard_path(part, session.name, SPLIT, number, len(shards))
            os.link(shard, target)
            os.link(schema_path(shard), schema_path(target))
        finish_dataset(part, description=description)
    shutil.rmtree(session.kept)


def _asked(judged: Judged) -> Trial:
    return Trial(judged.task, judged.seed, judged.instruction)
