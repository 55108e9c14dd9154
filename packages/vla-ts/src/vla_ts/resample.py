"""Series of different control rates on a common clock, each dimension as its meaning asks.

- absolute values are interpolated linearly, angles the short way round
- deltas keep their rate: what is summed up over any stretch of time is the same before and after
- velocities are averaged over each new step
- gripper commands, which switch, keep their previous value
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from vla_data.errors import ConfigError, DataError
from vla_data.types import ActionSpec

TINY = 1e-9  # of a step: what rounding may add to a length


def respec(spec: ActionSpec, hz: float) -> ActionSpec:
    """The meaning of actions at another rate: a step that takes longer may move further.

    Raises:
        ConfigError: the rate is not positive and finite.
    """
    if not (hz > 0 and np.isfinite(hz)):
        raise ConfigError("a control rate must be positive", where="hz", got=str(hz))
    ratio = spec.control_hz / hz
    dims = tuple(
        replace(d, low=d.low * ratio, high=d.high * ratio)
        if d.mode == "delta" and d.quantity != "gripper"
        else d
        for d in spec.dims
    )
    return spec if hz == spec.control_hz else replace(spec, dims=dims, control_hz=hz)


def resample(
    values: Float32[np.ndarray, "time dim"], spec: ActionSpec, hz: float
) -> Float32[np.ndarray, "resampled dim"]:
    """A series at `spec.control_hz` as one at `hz`; what it means then is `respec(spec, hz)`.

    Value i holds from i to i + 1 steps. The last new step may reach past the end: it holds what is left
    of a delta and the last of other values. Rotations given as quaternions are brought to unit length
    again; small rotations are summed up as vectors, as deltas are.

    Raises:
        DataError: there is no step, or the series has another width than the spec.
        ConfigError: the rate is not positive and finite.
    """
    respec(spec, hz)
    if values.ndim != 2 or not len(values) or values.shape[1] != spec.dim:
        raise DataError(
            "a series of another shape than its spec's",
            where="resample",
            expected=f"[T ≥ 1, {spec.dim}]",
            got=f"{list(values.shape)}",
        )
    if hz == spec.control_hz:
        return values
    count = max(1, int(np.ceil(len(values) * hz / spec.control_hz - TINY)))
    places = np.arange(count + 1) * spec.control_hz / hz  # of the new steps' borders, in old steps
    smooth = _without_jumps(values.astype(np.float64), spec)
    columns = [_column(smooth[:, i], i, spec, places) for i in range(spec.dim)]
    return _unit(np.stack(columns, axis=1), spec).astype(np.float32)


def _column(column: np.ndarray, index: int, spec: ActionSpec, places: np.ndarray) -> np.ndarray:
    dim, last = spec.dims[index], len(column) - 1
    if dim.quantity == "gripper":
        return column[np.minimum(np.floor(places[:-1] + TINY).astype(int), last)]
    if dim.mode == "absolute":
        return np.interp(places[:-1], np.arange(last + 1), column)
    borders = np.minimum(places, last + 1)
    total = np.diff(np.interp(borders, np.arange(last + 2), np.concatenate([[0.0], np.cumsum(column)])))
    return total if dim.mode == "delta" else total / np.maximum(np.diff(borders), TINY)


def _without_jumps(values: np.ndarray, spec: ActionSpec) -> np.ndarray:
    """Absolute angles without turns of 2π between steps, quaternions without changes of sign."""
    turned = [i for i, d in enumerate(spec.dims) if d.quantity == "rotation" and d.mode == "absolute"]
    if spec.rotation == "euler_xyz":
        scale = np.array([spec.dims[i].scale for i in turned])
        values[:, turned] = np.unwrap(values[:, turned] * scale, axis=0) / scale
    for group in rotation_groups(spec) if spec.rotation == "quaternion_xyzw" else ():
        flips = np.sign((values[1:, group] * values[:-1, group]).sum(1))
        values[1:, group] *= np.cumprod(np.where(flips < 0, -1, 1))[:, None]
    return values


def _unit(values: np.ndarray, spec: ActionSpec) -> np.ndarray:
    for group in rotation_groups(spec) if spec.rotation == "quaternion_xyzw" else ():
        length = np.linalg.norm(values[:, group], axis=1, keepdims=True)
        values[:, group] /= np.where(length > 0, length, 1)
    return values


def rotation_groups(spec: ActionSpec) -> list[list[int]]:
    """Which dimensions are one rotation together; none where the spec does not say its form."""
    widths = {"euler_xyz": 3, "axis_angle": 3, "quaternion_xyzw": 4, "matrix_6d": 6}
    width = widths.get(spec.rotation, 0)
    found = [i for i, d in enumerate(spec.dims) if d.quantity == "rotation"]
    whole = width > 0 and len(found) % width == 0
    return [found[i : i + width] for i in range(0, len(found), width)] if whole else []
