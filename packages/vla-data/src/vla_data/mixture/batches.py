"""Batches of a mixture: stacked arrays with masks for whatever a data set lacks."""

from __future__ import annotations

import hashlib
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex

import numpy as np
from jaxtyping import UInt8

from vla_data.errors import ConfigError, DataError
from vla_data.mixture.sampling import Mixture
from vla_data.mixture.statistics import DatasetNorm
from vla_data.mixture.windows import MixtureSample
from vla_data.normalize import Normalizer, NormMode
from vla_data.types import Image

STRIPES = 8
Batch = dict[str, Any]


class MixtureBatches:
    """Batch number j of a mixture, `batches[j]` for any j from 0 on, as arrays:

    - `image/<role>` uint8 [B, history, height, width, 3], `image_mask/<role>` bool [B, history]: False where
      the data set has no such camera or the frame is all zero
    - `state` float32 [B, history, state columns], `state_mask` bool [B, state columns]
    - `action` float32 [B, action_horizon, action columns], `action_mask` bool of that shape: False after
      the episode's end and in columns the data set has not; there actions are 0
    - `history_mask` bool [B, history], `dataset` int64 [B], `position` int64 [B], `instruction` B texts

    The batches of a stripe take every `stripes`-th position, so that workers which take every w-th batch,
    w dividing `stripes`, share no episode; which samples a batch holds does not depend on the workers.
    Picklable, and a map-style data set to whoever wants one: it has a length (batches of an epoch).

    Args:
        mixture: where samples come from.
        batch_size: samples of a batch.
        stripes: a divisor of the mixture's lanes; 1 makes batches of consecutive positions.
        norms: statistics of each data set (`mixture_norms`); None leaves the data sets' own units.
        mode: how to normalise by them.

    Raises:
        ConfigError: a number makes no sense, or images differ in size and the config names none.
    """

    def __init__(
        self,
        mixture: Mixture,
        batch_size: int,
        *,
        stripes: int | None = None,
        norms: Sequence[DatasetNorm] | None = None,
        mode: NormMode = "quantile",
    ) -> None:
        lanes = mixture.config.lanes
        self.stripes = math.gcd(STRIPES, lanes) if stripes is None else stripes
        if batch_size < 1 or self.stripes < 1 or lanes % self.stripes:
            raise ConfigError(
                "batches cannot be cut like this",
                expected=f"a batch size of 1 at least, stripes that divide {lanes} lanes",
                got=f"batch size {batch_size}, {self.stripes} stripes",
            )
        if norms is not None and len(norms) != len(mixture.sources):
            raise ConfigError(
                "statistics for each data set", expected=str(len(mixture.sources)), got=str(len(norms))
            )
        self.mixture, self.batch_size = mixture, batch_size
        self.norms = tuple(norms) if norms is not None else None
        self.mode: NormMode = mode
        self.sizes = {role: _size(mixture, role) for role in mixture.config.window.cameras}
        self.masked = 0  # frames that could not be decoded, of data sets that may skip

    def __len__(self) -> int:
        """Whole batches of an epoch's samples."""
        return len(self.mixture) // self.batch_size

    def positions(self, number: int) -> range:
        """The positions of the samples of a batch."""
        block, stripe = divmod(number, self.stripes)
        size = self.stripes * self.batch_size
        return range(block * size + stripe, (block + 1) * size, self.stripes)

    def __getitem__(self, number: SupportsIndex) -> Batch:
        """A batch.

        Raises:
            IndexError: the number is negative.
            DataError: an episode or a frame is damaged.
        """
        number = operator.index(number)
        if number < 0:
            raise IndexError(f"batch {number}: batches are counted from 0")
        rows = [self.arrays(self.mixture[p]) for p in self.positions(number)]
        batch: Batch = {key: np.stack([r[key] for r in rows]) for key in rows[0] if key != "instruction"}
        return batch | {"instruction": [r["instruction"] for r in rows]}

    def arrays(self, sample: MixtureSample) -> Batch:
        """One row of a batch."""
        mixture, d = self.mixture, sample.dataset
        state = np.stack([o.state for o in sample.window.observations]).astype(np.float32)
        action = sample.chunk.actions
        if self.norms is not None:
            norm = self.norms[d]
            action = Normalizer(norm.action, self.mode).normalize(action)
            state = Normalizer(norm.state, self.mode).normalize(state) if norm.state else state
        mask = sample.action_mask[:, None] & mixture.action_columns.mask(d)
        row: Batch = {
            "action": np.where(mask, mixture.action_columns.spread(action, d), np.float32(0)),
            "action_mask": mask,
            "state": mixture.state_columns.spread(state, d),
            "state_mask": mixture.state_columns.mask(d),
            "history_mask": sample.history_mask,
            "dataset": np.int64(d),
            "position": np.int64(sample.position),
            "instruction": sample.window.latest.instruction,
        }
        for role in mixture.config.window.cameras:
            row[f"image/{role}"], row[f"image_mask/{role}"] = self._frames(sample, role)
        return row

    @property
    def digest(self) -> str:
        """Identity of the stream of batches."""
        cut = f"{self.mixture.digest} {self.batch_size} {self.stripes} {self.mode} {self.norms}"
        return hashlib.sha256(cut.encode()).hexdigest()

    def _frames(self, sample: MixtureSample, role: str) -> tuple[np.ndarray, np.ndarray]:
        height, width = self.sizes[role]
        seen = sample.window.observations
        frames = np.zeros((len(seen), height, width, 3), np.uint8)
        for i, observation in enumerate(seen):
            if i and observation is seen[i - 1]:
                frames[i] = frames[i - 1]
            elif role in observation.images:
                frames[i] = self._decoded(sample, lambda o=observation: o.images[role], (height, width))
        return frames, np.array([_shows_something(frame) for frame in frames])

    def _decoded(self, sample: MixtureSample, decode: Callable[[], Image], size: tuple[int, int]) -> Any:
        try:
            image = decode()
        except DataError:
            if not self.mixture.config.dataset[sample.dataset].skip:
                raise
            self.masked += 1
            return 0
        return image if image.shape[:2] == size else resize(image, size)


def _shows_something(frame: Image) -> bool:
    return bool(frame[::16, ::16].any() or frame.any())  # the first look settles it for all but black ones


def resize(image: Image, size: tuple[int, int]) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """An image at another (height, width): bilinear, antialiased, stretched where the shape differs."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(image).resize((size[1], size[0]), Pillow.Resampling.BILINEAR)
    return np.asarray(picture)


def _size(mixture: Mixture, role: str) -> tuple[int, int]:
    """What size a role's frames have in a batch."""
    if mixture.config.window.image_size is not None:
        return mixture.config.window.image_size
    found: dict[tuple[int, int], str] = {}
    for dataset, name in enumerate(mixture.names):
        frames = mixture.first(dataset).images.get(role)
        if frames is not None:
            height, width = frames[0].shape[:2]
            found.setdefault((height, width), name)
    if len(found) != 1:
        sizes = ", ".join(f"{h}×{w} in {name}" for (h, w), name in found.items())
        raise ConfigError(
            "the frames of a camera have no one size",
            where=f"camera {role!r} of a mixture",
            expected="one size in all data sets that have it",
            got=sizes or f"no such camera in {', '.join(mixture.names)}",
            next_step="set window.image_size = [height, width] in the mixture, or its data sets' cameras",
        )
    return next(iter(found))
