"""From relative depth to metres, with some depths known: a scale and a shift of 1/depth, fitted robustly.

Relative depth of Depth Anything V2 is right up to scale and shift of the disparity 1/depth (MiDaS, Ranftl
et al. 2019, arXiv:1907.01341), so that is the space to fit in; metric depth from a strange camera is mostly
wrong by a factor, and only that is fitted. Random pairs give a first guess that half of the samples may
contradict (RANSAC, Fischler and Bolles 1981); what agrees with it is fitted by least squares with Huber's
weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32

from vla_data.errors import DataError
from vla_vision.types import DepthMap

MIN_DEPTH = 1e-3
GUESSES = 200
MOST_SAMPLES = 20_000
TOLERANCE = 0.05  # of relative depth: a sample that far off contradicts a guess
HUBER = 1.345  # times the spread: 95% as efficient as least squares where errors are normal
ROUNDS = 20

Metres = Float32[np.ndarray, "height width"]


@dataclass(frozen=True)
class Calibration:
    """What turns depth of one kind into metres.

    `relative`: depth = 1 / (scale · value + shift); `metric`: depth = scale · value, shift is 0.

    Args:
        samples: pixels or objects it was fitted to.
        inliers: share of them within 5% of it.
        error: median of |fitted / known − 1| over all samples.
    """

    kind: Literal["metric", "relative"]
    scale: float
    shift: float
    samples: int
    inliers: float
    error: float

    def apply(self, depth: DepthMap) -> DepthMap:
        """The same depth in metres; 0 where it has no finite distance.

        Raises:
            DataError: the depth is of the other kind.
        """
        if depth.kind != self.kind:
            raise DataError("a calibration of another kind of depth", expected=self.kind, got=depth.kind)
        return DepthMap(_metres(depth.values.astype(np.float64), self).astype(np.float32), "metric")


@dataclass(frozen=True, eq=False)
class KnownObject:
    """A thing of known size: its pixels, and what it measures across its widest extent there, metres."""

    mask: Bool[np.ndarray, "height width"]
    size: float


def calibrate(depth: DepthMap, known: Metres, *, seed: int = 0) -> Calibration:
    """Fit to metres known at some pixels; where `known` is 0, negative, NaN or infinite nothing is known.

    Raises:
        DataError: the sizes differ, or nothing is known where the depth is usable, or, for relative depth,
            it does not vary (one distance tells a scale, not a shift) or grows with distance.
    """
    if known.shape != depth.values.shape:
        raise DataError(
            "known depth of another size than the depth",
            where="calibrate",
            expected=str(list(depth.values.shape)),
            got=str(list(known.shape)),
        )
    usable = np.isfinite(depth.values) & np.isfinite(known) & (known > MIN_DEPTH)
    usable &= depth.values > (0 if depth.kind == "metric" else -np.inf)
    return fit(depth.kind, depth.values[usable], known[usable], seed=seed)


def calibrate_by_size(depth: DepthMap, objects: Sequence[KnownObject], focal: float) -> Calibration:
    """Fit to things of known size: each is `focal` · size / extent in pixels away.

    With one object and relative depth, the shift is taken as 0: infinity at value 0.

    Args:
        focal: in pixels of the depth's picture.

    Raises:
        DataError: there is no object, or one covers no pixel with depth.
    """
    values, metres = [], []
    for item in objects:
        inside = item.mask & np.isfinite(depth.values)
        if not inside.any():
            raise DataError("an object of known size covers no pixel with depth", where="calibrate_by_size")
        values.append(float(np.median(depth.values[inside])))
        metres.append(focal * item.size / _extent(item.mask))
    if depth.kind == "relative" and len(objects) == 1:
        return _described("relative", 1 / (metres[0] * max(values[0], 1e-9)), 0.0, *_arrays(values, metres))
    return fit(depth.kind, *_arrays(values, metres))


def fit(
    kind: Literal["metric", "relative"], values: np.ndarray, metres: np.ndarray, *, seed: int = 0
) -> Calibration:
    """The calibration of samples [N] with known metres [N]; see `calibrate`."""
    _require_samples(kind, values, metres)
    values, metres = _thinned(*_arrays(values, metres))
    if kind == "metric":
        scale = float(np.exp(np.median(np.log(metres / values))))
        return _described(kind, scale, 0.0, values, metres)
    guess = _ransac(values, 1 / metres, np.random.default_rng(seed))
    scale, shift = _refined(values, 1 / metres, *guess)
    if scale <= 0:
        raise DataError(
            "relative depth goes the wrong way",
            where="calibrate",
            expected="numbers that are larger where things are nearer",
            got="larger is farther: metric weights whose configuration does not say so?",
            next_step="load the weights as metric: --kind metric",
        )
    return _described(kind, scale, shift, values, metres)


def _ransac(values: np.ndarray, disparity: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """The line through two samples that most samples are near to."""
    a, b = rng.integers(0, len(values), (2, GUESSES))
    a, b = a[values[a] != values[b]], b[values[a] != values[b]]
    scale = (disparity[a] - disparity[b]) / (values[a] - values[b])
    shift = disparity[a] - scale * values[a]
    some = rng.permutation(len(values))[:2000]
    off = np.abs(scale[:, None] * values[some] + shift[:, None] - disparity[some]) / disparity[some]
    # A capped sum tells near from nearer, where a count of inliers would not.
    best = int(np.minimum(off, TOLERANCE).sum(1).argmin())
    return float(scale[best]), float(shift[best])


def _refined(values: np.ndarray, disparity: np.ndarray, scale: float, shift: float) -> tuple[float, float]:
    """Weighted least squares of relative errors from a first guess on, in closed form each round."""
    near = np.abs(scale * values + shift - disparity) / disparity < 2 * TOLERANCE
    x, y = values[near], disparity[near]
    for _ in range(ROUNDS if len(np.unique(x)) > 1 else 0):
        off = np.abs(scale * x + shift - y) / y
        spread = max(1.4826 * float(np.median(off)), 1e-9)
        weight = np.minimum(1.0, HUBER * spread / np.maximum(off, 1e-12)) / y**2
        mx, my = np.average(x, weights=weight), np.average(y, weights=weight)
        scale = float((weight * (x - mx) * (y - my)).sum() / (weight * (x - mx) ** 2).sum())
        shift = float(my - scale * mx)
    return scale, shift


def _described(
    kind: Literal["metric", "relative"], scale: float, shift: float, values: np.ndarray, metres: np.ndarray
) -> Calibration:
    draft = Calibration(kind, scale, shift, len(values), 0.0, 0.0)
    off = np.abs(_metres(values, draft) / metres - 1)
    return Calibration(
        kind, scale, shift, len(values), float((off < TOLERANCE).mean()), float(np.median(off))
    )


def _metres(values: np.ndarray, by: Calibration) -> np.ndarray:
    if by.kind == "metric":
        return np.where(np.isfinite(values), by.scale * values, 0.0)
    disparity = by.scale * values + by.shift
    seen = np.isfinite(disparity) & (disparity > MIN_DEPTH)
    return np.where(seen, 1 / np.where(seen, disparity, 1.0), 0.0)


def _require_samples(kind: str, values: np.ndarray, metres: np.ndarray) -> None:
    enough = len(values) >= 1 if kind == "metric" else len(values) >= 2 and np.ptp(values) > 0
    if enough:
        return
    raise DataError(
        "depth cannot be calibrated",
        where="calibrate",
        expected="a known depth at least" if kind == "metric" else "known depths at two distances at least",
        got=f"{len(values)} usable samples" + (" at one distance" if len(values) > 1 else ""),
        next_step="give depth known (finite and positive) where the picture has depth too",
    )


def _thinned(values: np.ndarray, metres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    step = -(-len(values) // MOST_SAMPLES)
    return values[::step], metres[::step]


def _arrays(*columns: Any) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(c, np.float64) for c in columns)


def _extent(mask: np.ndarray) -> float:
    """Pixels along the longest diameter of a mask."""
    import cv2

    points = np.argwhere(mask).astype(np.float32)[:, ::-1]
    (_, (width, height), _) = cv2.minAreaRect(np.ascontiguousarray(points))
    return float(max(width, height) + 1)
