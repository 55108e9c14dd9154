"""One sample: what was seen up to a step, and the actions from there on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from vla_data.images import EncodedImages
from vla_data.mixture.config import WindowConfig
from vla_data.mixture.episodes import HeldEpisode
from vla_data.mixture.order import Place
from vla_data.types import ActionChunk, ActionSpec, ArrayImages, Image, ImageSequence, Observation
from vla_data.types import ObservationWindow as Window


@dataclass(frozen=True, eq=False)
class MixtureSample:
    """A step of an episode, as a model is trained on it. Numbers are in the data set's own units.

    Args:
        window: the last `history` observations; images decode when looked at, a camera that the data set
            lacks is not among them. Before the episode's start the first observation repeats.
        chunk: `action_horizon` actions; after the episode's end the last one repeats.
        history_mask: False for observations before the start, [history].
        action_mask: False for actions after the end, [action_horizon].
        dataset: which data set of the mixture, and its `name`.
        episode, episode_id, step: where the sample comes from; `episode` is the index in its source.
        position: in the order of all samples.
    """

    window: Window
    chunk: ActionChunk
    history_mask: Bool[np.ndarray, "history"]
    action_mask: Bool[np.ndarray, "horizon"]
    dataset: int
    name: str
    episode: int
    episode_id: str
    step: int
    position: int


@dataclass(frozen=True, eq=False)
class LazyFrames(Mapping[str, Image]):
    """Camera → frame, decoded when looked at and not kept. Pickles as the encoded bytes of these frames."""

    frames: Mapping[str, ImageSequence]

    def __getitem__(self, camera: str) -> Image:
        return self.frames[camera][0]

    def __contains__(self, camera: object) -> bool:
        return camera in self.frames  # without a look, as inherited it would decode

    def __iter__(self) -> Iterator[str]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, eq=False)
class _Later:
    """A frame of a sequence that cannot be cut, such as a video."""

    frames: ImageSequence
    index: int

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Image:
        return self.frames[self.index]

    def __reduce__(self):
        return ArrayImages, (self[0][None],)


def cut(
    held: HeldEpisode,
    place: Place,
    episode: int,
    spec: ActionSpec,
    name: str,
    config: WindowConfig,
    wording: int,
) -> MixtureSample:
    """The sample at a step of an episode; `wording` picks one of its instructions, modulo their number."""
    steps, t = len(held.action), place.step
    back = np.arange(t - config.history + 1, t + 1)
    ahead = np.arange(t, t + config.action_horizon)
    seen = np.maximum(back, 0).tolist()
    said = held.wordings[wording % len(held.wordings)]
    past = held.action[seen[:-1]].astype(np.float32)
    past[back[:-1] < 0] = 0
    shown = {i: _observation(held, i, said) for i in set(seen)}
    return MixtureSample(
        window=Window(tuple(shown[i] for i in seen), past),
        chunk=ActionChunk(held.action[np.minimum(ahead, steps - 1)].astype(np.float32), spec),
        history_mask=back >= 0,
        action_mask=ahead < steps,
        dataset=place.dataset,
        name=name,
        episode=episode,
        episode_id=held.id,
        step=t,
        position=place.position,
    )


def _observation(held: HeldEpisode, step: int, said: str) -> Observation:
    frames = {role: _one(images, step) for role, images in held.images.items()}
    return Observation(float(held.time[step]), LazyFrames(frames), held.state[step].copy(), said)


def _one(frames: ImageSequence, step: int) -> ImageSequence:
    """One frame on its own, so that a sample keeps no episode alive."""
    if isinstance(frames, EncodedImages):
        return EncodedImages([bytes(frames.frames[step])], f"{frames.where}, step {step}", frames.shape)
    if isinstance(frames, ArrayImages):
        return ArrayImages(frames.frames[step : step + 1].copy())
    return _Later(frames, step)
