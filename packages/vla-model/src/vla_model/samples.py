"""Training samples of a policy: every step of every episode, with the chunk of actions that followed.

Held in memory as arrays (uint8 images), which serves data sets of a few thousand episodes at small image
sizes; `SampleTable.nbytes` says how much. A batch is a pure function of the step number, so training
resumes exactly where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float16, Float32, Int64, UInt8

from vla_data.chunks import chunk_actions
from vla_data.errors import DataError
from vla_data.protocols import EpisodeSource, OnProgress, Progress, no_progress
from vla_data.types import CameraInput, Episode
from vla_model.policies.planes import depth_of, flow_of
from vla_model.prompt.episodes import episode_checklist, with_checklist
from vla_model.views import target_pixels


@dataclass(frozen=True, eq=False)
class SampleTable:
    """N samples.

    Args:
        images: uint8 [N, cameras, 3, height, width].
        state: float32 [N, state_dim], physical units.
        chunks: float32 [N, action_horizon, action_dim], physical units.
        wordings: index into `texts` of every wording of the sample's episode; −1 pads, [N, W].
        texts: all wordings.
        first: the row of each sample's episode's first step, int64 [N].
        depth: float16 [N, cameras, height, width], metres, where it is asked for; 0 where unknown.
        flow: float16 [N, cameras, height, width, 2], where it is asked for (`vla_model.policies.planes`).
        pixels: how much of what the task is about each camera shows, where labels tell and it is asked for.
    """

    images: UInt8[np.ndarray, "n cameras 3 height width"]
    state: Float32[np.ndarray, "n state_dim"]
    chunks: Float32[np.ndarray, "n horizon action_dim"]
    wordings: Int64[np.ndarray, "n w"]
    texts: tuple[str, ...]
    first: Int64[np.ndarray, "n"]
    depth: Float16[np.ndarray, "n cameras height width"] | None = None
    flow: Float16[np.ndarray, "n cameras height width 2"] | None = None
    pixels: Int64[np.ndarray, "n cameras"] | None = None

    def __len__(self) -> int:
        return len(self.state)

    @property
    def nbytes(self) -> int:
        arrays = (self.images, self.state, self.chunks, self.depth, self.flow)
        return sum(a.nbytes for a in arrays if a is not None)

    @classmethod
    def of(
        cls,
        source: EpisodeSource,
        cameras: Sequence[CameraInput],
        action_horizon: int,
        on_progress: OnProgress = no_progress,
        *,
        checklists: bool = False,
        targets: bool = False,
        velocity: bool = False,
    ) -> SampleTable:
        """Read every episode of a source.

        Args:
            checklists: put an episode's sub-steps below each of its wordings.
            targets: fill `pixels`.
            velocity: fill `flow`; `depth` is filled where the cameras say so.

        Raises:
            DataError: there is no episode, or one lacks a camera or has it at another size, or the labels
                that `targets` need.
        """
        if len(source) == 0:
            raise DataError("no episode to train on", where=source.name, expected="at least one episode")
        images, states, chunks, said, shown = [], [], [], [], []
        deep: list[np.ndarray] = []
        moved: list[np.ndarray] = []
        texts: dict[str, int] = {}
        for i in range(len(source)):
            episode = source[i]
            images.append(_images(episode, cameras))
            deep += [_depth(episode, cameras)] if cameras[0].depth else []
            moved += [_flow(images[-1], source.robot.action.control_hz)] if velocity else []
            states.append(episode.state)
            if targets:
                shown.append(target_pixels(episode, [c.name for c in cameras]))
            chunks.append(chunk_actions(episode.action, action_horizon))
            listed = episode_checklist(episode) if checklists else ()
            told = (with_checklist(w, listed) for w in (episode.instruction, *episode.paraphrases))
            wordings = dict.fromkeys(told)
            said.append([texts.setdefault(t, len(texts)) for t in wordings])
            on_progress(Progress("read", i + 1, len(source), "episodes"))
        most, lengths = max(map(len, said)), [len(s) for s in states]
        rows = np.array([[*ids, *[-1] * (most - len(ids))] for ids in said], np.int64)
        return cls(
            np.concatenate(images),
            np.concatenate(states).astype(np.float32),
            np.concatenate(chunks).astype(np.float32),
            np.repeat(rows, lengths, axis=0),
            tuple(texts),
            np.repeat(np.cumsum([0, *lengths[:-1]]), lengths),
            np.concatenate(deep) if deep else None,
            np.concatenate(moved) if velocity else None,
            np.concatenate(shown) if targets else None,
        )

    def sample(
        self, step: int, batch_size: int, seed: int, share: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows of batch `step`, and for each the index of one of its wordings, [B] each.

        Args:
            share: samples with the same wordings get the same one.
        """
        rng = np.random.default_rng((seed, step))
        rows = rng.integers(0, len(self), batch_size)
        counts = (self.wordings[rows] >= 0).sum(1)
        if not share:
            return rows, self.wordings[rows, rng.integers(0, counts)]
        draws = rng.random(len(self.texts))[self.wordings[rows, 0]]
        return rows, self.wordings[rows, (draws * counts).astype(np.int64)]

    def seen(self, rows: np.ndarray, history: int) -> UInt8[np.ndarray, "b history cameras 3 height width"]:
        """Images of samples and of the moments before them; the first one stands for those before it."""
        back = np.arange(history - 1, -1, -1)
        return self.images[np.maximum(rows[:, None] - back, self.first[rows][:, None])]

    def past(self, rows: np.ndarray, count: int) -> Float32[np.ndarray, "b count action_dim"]:
        """The actions before samples, the latest last; 0 from before the episode."""
        at = rows[:, None] - np.arange(count, 0, -1)
        there = at >= self.first[rows][:, None]
        return np.where(there[..., None], self.chunks[np.where(there, at, 0), 0], np.float32(0))


def _images(episode: Episode, cameras: Sequence[CameraInput]) -> np.ndarray:
    """Images of one episode, uint8 [T, cameras, 3, height, width]."""
    out = []
    for camera in cameras:
        frames = episode.images.get(camera.name)
        if frames is None:
            raise DataError(
                "an episode lacks a camera the policy looks through",
                where=f"episode {episode.id}",
                expected=camera.name,
                got=", ".join(episode.images) or "no camera",
            )
        stacked = np.stack([frames[t] for t in range(len(frames))])
        if stacked.shape[1:3] != (camera.height, camera.width):
            raise DataError(
                "an episode's images have another size than the policy's",
                where=f"episode {episode.id}, camera {camera.name}",
                expected=f"{camera.height}×{camera.width}",
                got=f"{stacked.shape[1]}×{stacked.shape[2]}",
            )
        out.append(stacked.transpose(0, 3, 1, 2))
    return np.stack(out, axis=1)


def _depth(episode: Episode, cameras: Sequence[CameraInput]) -> np.ndarray:
    """Depth of one episode, float16 [T, cameras, height, width]."""
    missing = [c.name for c in cameras if c.name not in episode.depth]
    if missing:
        raise DataError(
            "an episode lacks the depth that a policy is to look at",
            where=f"episode {episode.id}",
            expected=f"depth of {', '.join(missing)}",
            got=", ".join(episode.depth) or "no depth",
            next_step="record it: vla data generate … --set depth=true; or switch it off: "
            "--set policy.parts.depth=false",
        )
    seen = [
        [depth_of(frames[t], c.height, c.width) for t in range(len(frames))]
        for c in cameras
        for frames in (episode.depth[c.name],)
    ]
    return np.stack(seen, axis=1)


def _flow(images: np.ndarray, hz: float) -> np.ndarray:
    """What moved since the step before, in the images [T, cameras, 3, height, width] of one episode."""
    before = np.concatenate([images[:1], images[:-1]])
    return flow_of(np.stack([before, images], axis=1), np.arange(len(images)) > 0, hz)
