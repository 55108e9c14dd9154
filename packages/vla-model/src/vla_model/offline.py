"""How near a policy's chunks are to what was demonstrated, on episodes that it was not trained on.

None of this is a result: the closed loop is. It is cheap, and how much of it goes with success is a question
that can be asked (`vla_model.statistics`, experiments).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from vla_data.chunks import chunk_actions
from vla_data.errors import DataError, SpecMismatchError
from vla_data.protocols import EpisodeSource, OnProgress, Policy, Progress, no_progress
from vla_data.report import Section, Table, Text
from vla_data.types import ActionSpec, Episode, InputSpec, Observation, ObservationWindow

TOGETHER = 16  # windows asked about at once
MOVES = 0.05  # of the largest displacement that was shown: below it a chunk has no direction


@dataclass(frozen=True)
class OfflineConfig:
    """Which moments are asked about.

    Args:
        every: steps between.
        episodes: at most; None for all.
        seed: of the policy's own chance.
    """

    every: int = 8
    episodes: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class OfflineMetrics:
    """Means over all moments.

    Args:
        moments: how many.
        chunk_error: mean absolute difference of all actions of a chunk, in standard deviations of what was
            demonstrated (grippers left out).
        first_error: of the first action of a chunk.
        end_error: of the sum of a chunk: where it leads; for actions that are differences.
        direction: mean cosine between the displacement that a chunk makes and the one that was shown, where
            that is clear; None where actions are no displacements.
        gripper: share of actions whose gripper is on the side that was shown; None without a gripper.
    """

    moments: int
    chunk_error: float
    first_error: float
    end_error: float
    direction: float | None
    gripper: float | None


def offline_metrics(
    policy: Policy,
    source: EpisodeSource,
    config: OfflineConfig | None = None,
    on_progress: OnProgress = no_progress,
) -> OfflineMetrics:
    """Ask a policy about moments of demonstrations.

    Raises:
        DataError: there is no moment.
        SpecMismatchError: the episodes are of another robot, or lack a camera of the policy.
    """
    config, spec = config or OfflineConfig(), policy.input_spec
    spec.robot.action.require_same(
        source.robot.action, f"the policy's actions against those of {source.name}"
    )
    count = len(source) if config.episodes is None else min(config.episodes, len(source))
    shown, said = [], []
    for index in range(count):
        episode = source[index]
        _require_cameras(episode, spec)
        policy.reset([0], [config.seed + index])
        chunks = chunk_actions(episode.action, spec.action_horizon)
        steps = range(0, len(episode), config.every)
        for some in _in_groups(list(steps)):
            windows = [window_at(episode, step, spec) for step in some]
            said += [answer.actions for answer in policy.infer(windows)]
            shown += [chunks[step] for step in some]
        on_progress(Progress("offline", index + 1, count, "episodes"))
    if not shown:
        raise DataError(
            "there is no moment to ask about", where=source.name, expected="an episode with a step"
        )
    return _compared(np.stack(said), np.stack(shown), spec.robot.action)


def window_at(episode: Episode, step: int, spec: InputSpec) -> ObservationWindow:
    """What a policy would have been shown at a step, as the roll-out loop shows it."""
    begins = [max(0, step - back) for back in range(spec.history - 1, -1, -1)]
    past = np.zeros((spec.past, spec.robot.action.dim), np.float32)
    known = episode.action[max(0, step - spec.past) : step] if spec.past else episode.action[:0]
    if len(known):
        past[-len(known) :] = known
    return ObservationWindow(tuple(_observed(episode, i, spec) for i in begins), past)


def _observed(episode: Episode, step: int, spec: InputSpec) -> Observation:
    return Observation(
        time=float(episode.time[step]),
        images={c.name: episode.images[c.name][step] for c in spec.cameras},
        state=episode.state[step],
        instruction=episode.instruction if spec.instruction else "",
        depth={c.name: np.asarray(episode.depth[c.name][step]) for c in spec.cameras if c.depth},
    )


def _require_cameras(episode: Episode, spec: InputSpec) -> None:
    for camera in spec.cameras:
        frames = episode.images.get(camera.name)
        size = None if frames is None else frames[0].shape[:2]
        if size != (camera.height, camera.width) or (camera.depth and camera.name not in episode.depth):
            raise SpecMismatchError(
                "an episode does not show what the policy looks at",
                where=f"episode {episode.id}, camera {camera.name}",
                expected=f"{camera.height} × {camera.width} pixels{' with depth' if camera.depth else ''}",
                got="nothing" if size is None else f"{size[0]} × {size[1]} pixels",
                next_step="ask about data of the policy's own kind",
            )


def _compared(
    said: Float32[np.ndarray, "n horizon dim"], shown: Float32[np.ndarray, "n horizon dim"], spec: ActionSpec
) -> OfflineMetrics:
    grips = np.array([d.quantity == "gripper" for d in spec.dims])
    moves = np.array([d.quantity == "position" and d.mode == "delta" for d in spec.dims])
    spread = np.maximum(shown[..., ~grips].std(axis=(0, 1)), 1e-6)
    apart = np.abs(said - shown)[..., ~grips] / spread
    ends = np.abs((said - shown).sum(axis=1))[..., ~grips] / np.maximum(
        shown.sum(axis=1)[..., ~grips].std(axis=0), 1e-6
    )
    same = (np.sign(said[..., grips]) == np.sign(shown[..., grips])).mean() if grips.any() else None
    return OfflineMetrics(
        moments=len(shown),
        chunk_error=float(apart.mean()),
        first_error=float(apart[:, 0].mean()),
        end_error=float(ends.mean()),
        direction=_direction(said[..., moves].sum(axis=1), shown[..., moves].sum(axis=1)),
        gripper=None if same is None else float(same),
    )


def _direction(said: np.ndarray, shown: np.ndarray) -> float | None:
    """Mean cosine where what was shown goes somewhere."""
    length = np.linalg.norm(shown, axis=1)
    clear = length > MOVES * length.max(initial=0.0)
    if not shown.shape[1] or not clear.any():
        return None
    own = np.maximum(np.linalg.norm(said[clear], axis=1), 1e-9)
    return float(((said[clear] * shown[clear]).sum(axis=1) / (own * length[clear])).mean())


def _in_groups(steps: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(steps), TOGETHER):
        yield steps[start : start + TOGETHER]


def describe(found: OfflineMetrics, where: str) -> tuple[dict[str, Any], list[Section]]:
    """A summary of plain values, and a section for a page."""
    told = {k: v if v is None else round(v, 4) for k, v in vars(found).items()}
    said = (
        f"What a policy answers at {found.moments:,} moments of {where}, beside what was demonstrated there. "
        "Errors are in standard deviations of the demonstrated actions. Success is measured by `vla eval`."
    )
    rows = tuple((k.replace("_", " "), "—" if v is None else f"{v:g}") for k, v in told.items())
    return told, [Section("Beside demonstrations", (Text(said), Table(("", "value"), rows)))]
