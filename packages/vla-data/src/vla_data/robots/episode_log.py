"""Episodes of whatever a robot does, kept one by one as a data set that trains again.

Each is written by a thread of its own as one shard when its motion ends, so that the control loop never waits
for a disk and a crash loses the episode under way and no other.
"""

from __future__ import annotations

import logging
import os
import queue
import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vla_data.config import to_dict
from vla_data.errors import ConfigError
from vla_data.files import atomic_directory, read_json
from vla_data.recording import Recorder
from vla_data.types import Camera, Episode, Observation, RobotSpec, StepResult, Trial

log = logging.getLogger(__name__)
SPLIT, VERSION = "train", "1.0.0"
MOST = 100_000  # shards are numbered out of so many until they are put together
LONGEST = 20_000  # steps of one episode: what comes after is the next


class KeptEpisodes:
    """Shards of one episode each, until they are put together as a data set.

    Args:
        out: directory; shards are in `kept/`, the data set comes to `episodes/NAME/1.0.0`.
        name: of the data set.
        most: shards are numbered below this.
    """

    def __init__(
        self, out: Path, name: str, robot: RobotSpec, cameras: Sequence[Camera], most: int = MOST
    ) -> None:
        self.kept, self.name, self.most = out / "kept", name, most
        self.directory = out / "episodes" / name / VERSION
        self._robot, self._cameras = robot, {c.name: c for c in cameras}

    def require_same(self) -> None:
        """Raise where episodes were kept of another robot, or with other cameras.

        Raises:
            ConfigError: they were.
        """
        from vla_data.formats.rlds.writer import schema_path

        shards = self.shards()
        if not shards:
            return
        schema = read_json(schema_path(shards[0]))["schema"]
        cameras = [camera["name"] for camera in schema["cameras"]]
        if schema["robot"] != to_dict(self._robot) or set(cameras) != set(self._cameras):
            raise ConfigError(
                "the directory holds episodes of another robot, or with other cameras",
                where=str(self.kept),
                expected=f"{self._robot.name}: {', '.join(self._cameras) or 'no camera'}",
                got=f"{schema['robot']['name']}: {', '.join(cameras) or 'no camera'}",
                next_step="choose another --out",
            )

    def keep(self, number: int, episode: Episode) -> None:
        """Write one."""
        from vla_data.formats.rlds import RldsWriter

        with RldsWriter(
            self.kept,
            self.name,
            self._robot,
            {n: c for n, c in self._cameras.items() if n in episode.images},
            version=VERSION,
            split=SPLIT,
            shard=(number, self.most),
            image_encoding="png",
        ) as writer:
            writer.write(episode)

    def shards(self) -> list[Path]:
        """What was kept, in order."""
        from vla_data.formats.rlds import shard_path

        if not self.kept.is_dir():
            return []
        every = (shard_path(self.kept, self.name, SPLIT, n, self.most) for n in self._numbers())
        return [s for s in every if s.is_file()]

    def next_number(self) -> int:
        """The first number that nothing was kept under."""
        return max(self._numbers(), default=-1) + 1

    def assemble(self, description: str) -> None:
        """Make the data set of what was kept: shards in a row, whatever numbers are missing between them."""
        from vla_data.formats.rlds import finish_dataset, shard_path
        from vla_data.formats.rlds.writer import schema_path

        shards = self.shards()
        if not shards:
            return
        with atomic_directory(self.directory) as part:
            for number, shard in enumerate(shards):
                target = shard_path(part, self.name, SPLIT, number, len(shards))
                os.link(shard, target)
                os.link(schema_path(shard), schema_path(target))
            finish_dataset(part, description=description)

    def forget(self) -> None:
        """Remove the shards; the data set has them."""
        shutil.rmtree(self.kept, ignore_errors=True)

    def _numbers(self) -> list[int]:
        from vla_data.formats.rlds import shard_path

        example = shard_path(self.kept, self.name, SPLIT, 0, self.most).name
        before, _, after = example.rpartition("00000-of")
        names = (p.name for p in self.kept.glob(f"{before}*") if p.name.endswith(after))
        told = (n[len(before) :].partition("-of")[0] for n in names)
        return sorted(int(t) for t in told if t.isdigit())


class EpisodeLog:
    """Collects steps of a control loop into episodes; `step`, `end` and `judge` come from one thread.

    Args:
        episodes: where they are kept.
        successes_only: others are not.
    """

    def __init__(
        self,
        episodes: KeptEpisodes,
        robot: RobotSpec,
        cameras: Sequence[Camera],
        *,
        successes_only: bool = False,
    ) -> None:
        self._successes_only = successes_only
        self._episodes, self._robot, self._cameras = episodes, robot, cameras
        self._recorder: Recorder | None = None
        self._trial = Trial("", 0, "")
        self._unjudged: Recorder | None = None
        self._steps, self._began = 0, 0.0
        self._number = episodes.next_number()
        self._waiting: queue.Queue[tuple[int, Episode] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._write, name="episodes", daemon=True)
        self._thread.start()
        self.written = 0

    def expect(self, trial: Trial) -> None:
        """What the next episode is about."""
        self._trial = trial

    def step(self, seen: Observation, action: np.ndarray, result: StepResult, by_hand: bool = False) -> None:
        """Add a step; `by_hand`: a person did it."""
        if self._recorder is None:
            self._recorder = Recorder(self._trial, self._robot, self._cameras)
            self._began, self._steps = seen.time, 0
        self._recorder.see(replace(seen, time=seen.time - self._began))
        self._recorder.did(action, result, by_hand=by_hand)
        self._steps += 1
        if self._steps >= LONGEST:
            self.end(False)

    def end(self, success: bool | None) -> None:
        """The episode is over; None: it has yet to be judged, before the next one ends or not at all."""
        self.judge(False)
        recorder, self._recorder = self._recorder, None
        if success is None:
            self._unjudged = recorder
        else:
            self._keep(recorder, success)

    def judge(self, success: bool) -> None:
        """What the episode that was yet to be judged came to, where there is one."""
        recorder, self._unjudged = self._unjudged, None
        self._keep(recorder, success)

    def _keep(self, recorder: Recorder | None, success: bool) -> None:
        if recorder is None or (self._successes_only and not success):
            return
        episode = recorder.episode(success)
        name = f"{self._number:05d}-{episode.id}"
        told = replace(episode, id=name, metadata={**episode.metadata, "success": success})
        self._waiting.put((self._number, told))
        self._number += 1

    def close(self) -> None:
        """Write what waits."""
        self.end(False)
        self._waiting.put(None)
        self._thread.join()

    def _write(self) -> None:
        while (item := self._waiting.get()) is not None:
            try:
                self._episodes.keep(*item)
                self.written += 1
            except Exception:  # a full disk must not stop the robot's loop
                log.exception("an episode could not be kept")
