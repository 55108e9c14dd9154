"""Batches a detector learns from: a pure function of the step number, augmented for simulated images.

Notable features:
- a sample is one image, or four around a point (mosaic, Bochkovskiy et al. 2020, arXiv:2004.10934), scaled,
  shifted and flipped by one matrix that also moves the outlines
- colours change little in hue: in a simulator red and green blocks are different things
- the last part of training sees whole images only, as the detector will
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from vla_data.errors import ConfigError
from vla_vision.depth.sources import read_image
from vla_vision.detection.letterbox import GREY
from vla_vision.detection.samples import Labels, Outline, bounds
from vla_vision.types import Frame

CACHE_BYTES = 1 << 30
LEAST_SHARE, LEAST_PIXELS = 0.15, 2.0  # of an object's box that must be left in the sample; of its sides
MASK_STRIDE = 4
EPOCHS_KEPT = 2

Scaled = UInt8[np.ndarray, "rows columns 3"]
Object = tuple[int, Outline]  # class, outline in pixels of the sample


@dataclass(frozen=True)
class AugmentConfig:
    """How samples differ from the images they are made of.

    Args:
        mosaic: share of samples made of four images.
        whole_at_the_end: share of training, its end, that has no mosaics.
        scale: an image is scaled by a factor between 1 − scale and 1 + scale.
        shift: and shifted by at most this share of the sample.
        flip: chance of being mirrored left to right.
        hue, saturation, value: largest change, as a share of the range or of the value.
    """

    mosaic: float = 0.5
    whole_at_the_end: float = 0.25
    scale: float = 0.4
    shift: float = 0.1
    flip: float = 0.5
    hue: float = 0.01
    saturation: float = 0.4
    value: float = 0.4

    def __post_init__(self) -> None:
        bad = {k: v for k, v in vars(self).items() if not 0 <= v <= 1}
        if bad or self.scale >= 1:
            raise ConfigError(
                "an augmentation is out of range", where="augment", expected="[0, 1]", got=str(bad or self)
            )


class Pictures:
    """Images scaled so that their longer side is `size`, the latest of them kept in memory."""

    def __init__(self, paths: Sequence[Path], size: int, limit: int = CACHE_BYTES) -> None:
        self.paths, self.size, self.limit = tuple(paths), size, limit
        self._kept: OrderedDict[int, Frame] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Frame:
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        image = _scaled(read_image(self.paths[index]), self.size)
        self._kept[index] = image
        self._bytes += image.nbytes
        while self._bytes > self.limit and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return image


class DetectionBatches:
    """Step number → tensors for `YoloNetwork.training_loss`.

    Args:
        pictures: the images; their `size` is the side of a sample.
        labels: of each image.
        batch_size: samples a batch.
        steps: of the whole training; the share done is part of a batch.
        seed: of everything random.
        augment: see `AugmentConfig`.
        masks: whether batches carry the maps that masks are learned from.
    """

    def __init__(
        self,
        pictures: Pictures,
        labels: Sequence[Labels],
        batch_size: int,
        steps: int,
        seed: int,
        augment: AugmentConfig,
        masks: bool = False,
    ) -> None:
        self.pictures, self.labels, self.augment, self.masks = pictures, tuple(labels), augment, masks
        self.batch_size, self.steps, self.seed = batch_size, steps, seed
        self._orders: OrderedDict[int, np.ndarray] = OrderedDict()

    def __call__(self, step: int) -> dict[str, Tensor]:
        """images uint8 [B, 3, S, S]; of M objects image [M], class [M, 1], box [M, 4] (x y w h, shares)."""
        rng = np.random.default_rng([self.seed, 1, step])
        done = step / max(1, self.steps)
        mosaics = self.augment.mosaic if done < 1 - self.augment.whole_at_the_end else 0.0
        samples = [
            self._sample(self._index(step * self.batch_size + i), rng, rng.random() < mosaics)
            for i in range(self.batch_size)
        ]
        size = self.pictures.size
        objects = [(i, kind, bounds(o) / size) for i, (_, found) in enumerate(samples) for kind, o in found]
        boxes = np.array([b for _, _, b in objects], np.float32).reshape(-1, 4)
        shares = np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)
        batch = {
            "images": torch.from_numpy(
                np.stack([image for image, _ in samples]).transpose(0, 3, 1, 2).copy()
            ),
            "image": torch.tensor([i for i, _, _ in objects], dtype=torch.float32),
            "class": torch.tensor([kind for _, kind, _ in objects], dtype=torch.float32).reshape(-1, 1),
            "box": torch.from_numpy(shares),
            "progress": torch.tensor(done),
        }
        return batch | (self._maps([found for _, found in samples]) if self.masks else {})

    def _index(self, position: int) -> int:
        """Which image stands at a position of the endless sequence of shuffled epochs."""
        epoch, place = divmod(position, len(self.pictures))
        if epoch not in self._orders:
            self._orders[epoch] = np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.pictures))
            if len(self._orders) > EPOCHS_KEPT:
                self._orders.popitem(last=False)
        return int(self._orders[epoch][place])

    def _sample(self, index: int, rng: np.random.Generator, mosaic: bool) -> tuple[Frame, list[Object]]:
        size = self.pictures.size
        sample = np.full((size, size, 3), GREY, np.uint8)
        if mosaic:
            objects = self._mosaic(sample, index, rng)
        else:
            image = self.pictures[index]
            centre = size * (0.5 + rng.uniform(-1, 1, 2) * self.augment.shift)
            objects = self._paint(sample, index, self._matrix(image, rng, centre, 0.5), (0, 0, size, size))
        objects.sort(
            key=lambda item: -float(np.prod(np.ptp(item[1], axis=0)))
        )  # small ones lie on top in the maps
        return _recoloured(sample, rng, self.augment), objects

    def _mosaic(self, sample: Frame, index: int, rng: np.random.Generator) -> list[Object]:
        size = len(sample)
        x, y = (int(v) for v in size * rng.uniform(0.35, 0.65, 2))
        regions = ((0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size))
        objects: list[Object] = []
        for i, region in enumerate(regions):
            chosen = index if i == 0 else int(rng.integers(len(self.pictures)))
            image = self.pictures[chosen]
            anchor = np.array([i % 2 == 0, i < 2], float)  # which of its corners touches the common point
            matrix = self._matrix(image, rng, np.array([x, y], float), anchor)
            objects += self._paint(sample, chosen, matrix, region)
        return objects

    def _matrix(
        self, image: Frame, rng: np.random.Generator, target: np.ndarray, anchor: np.ndarray | float
    ) -> np.ndarray:
        """2×3, pixels of the image → of the sample: the point at share `anchor` comes to lie on `target`."""
        gain = 1 + rng.uniform(-1, 1) * self.augment.scale
        height, width = image.shape[:2]
        mirrored = rng.random() < self.augment.flip
        along = -gain if mirrored else gain
        point = np.broadcast_to(anchor, 2) * (width, height)
        x = width - point[0] if mirrored else point[0]
        return np.array([[along, 0, target[0] - along * x], [0, gain, target[1] - gain * point[1]]])

    def _paint(
        self, sample: Frame, index: int, matrix: np.ndarray, region: tuple[int, int, int, int]
    ) -> list[Object]:
        """Draw an image into a region of the sample; its objects, cut to the region."""
        import cv2

        image, labels = self.pictures[index], self.labels[index]
        x1, y1, x2, y2 = region
        moved = matrix - np.array([[0, 0, x1], [0, 0, y1]])
        moved[:, 2] += moved[:, :2].sum(axis=1) / 2 - 0.5  # pixel centres lie at half pixels
        grey = (GREY, GREY, GREY)
        sample[y1:y2, x1:x2] = cv2.warpAffine(image, moved, (x2 - x1, y2 - y1), borderValue=grey)
        high, wide = image.shape[:2]
        found = []
        for kind, outline in zip(labels.classes, labels.outlines, strict=True):
            whole = (outline * (wide, high)) @ matrix[:, :2].T + matrix[:, 2]
            cut = np.clip(whole, (x1, y1), (x2, y2)).astype(np.float32)
            left, all_ = np.ptp(cut, axis=0), np.ptp(whole, axis=0)
            if left.min() >= LEAST_PIXELS and np.prod(left) >= LEAST_SHARE * np.prod(all_):
                found.append((kind, cut))
        return found

    def _maps(self, found: Sequence[list[Object]]) -> dict[str, Tensor]:
        """Which object (from 1, in order) and which class each point of a coarse grid belongs to."""
        import cv2

        side = self.pictures.size // MASK_STRIDE
        instances = np.zeros((len(found), side, side), np.float32)
        classes = np.zeros((len(found), side, side), np.float32)
        for i, objects in enumerate(found):
            for number, (kind, outline) in enumerate(objects, 1):
                corners = [np.round(outline / MASK_STRIDE - 0.5).astype(np.int32)]
                cv2.fillPoly(instances[i], corners, float(number))  # type: ignore[call-overload]
                cv2.fillPoly(classes[i], corners, float(kind))  # type: ignore[call-overload]
        return {"instance_map": torch.from_numpy(instances), "class_map": torch.from_numpy(classes)}


def _scaled(image: Frame, size: int) -> Scaled:
    import cv2

    height, width = image.shape[:2]
    ratio = size / max(height, width)
    if ratio == 1:
        return image
    target = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return cv2.resize(image, target, interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR)


def _recoloured(image: Frame, rng: np.random.Generator, augment: AugmentConfig) -> Frame:
    """Hue turned, saturation and brightness scaled, through tables of 256 entries."""
    import cv2

    turn = rng.uniform(-1, 1) * augment.hue * 180
    gains = 1 + rng.uniform(-1, 1, 2) * (augment.saturation, augment.value)
    levels = np.arange(256)
    tables = [(levels + turn) % 180, np.clip(levels * gains[0], 0, 255), np.clip(levels * gains[1], 0, 255)]
    table = np.stack(tables, axis=-1).astype(np.uint8)[None]
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    return cv2.cvtColor(cv2.LUT(hsv, table), cv2.COLOR_HSV2RGB)
