"""Linear maps along the time of a chunk."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float32


@lru_cache(maxsize=64)
def dct_matrix(size: int) -> Float32[np.ndarray, "size size"]:
    """The orthonormal DCT-II: row k gives the coefficient of frequency k; its transpose is its inverse."""
    k, t = np.arange(size)[:, None], np.arange(size)[None]
    matrix = np.sqrt(2 / size) * np.cos(np.pi * k * (2 * t + 1) / (2 * size))
    matrix[0] /= np.sqrt(2)
    result = matrix.astype(np.float32)
    result.setflags(write=False)
    return result


@lru_cache(maxsize=64)
def spline_basis(size: int, coefficients: int, degree: int) -> Float32[np.ndarray, "size coefficients"]:
    """B-splines over clamped, evenly spaced knots at `size` evenly spaced times of a chunk.

    The degree is lowered where there are too few coefficients for it. Degree 0 holds values: each
    coefficient stands for its share of the times.
    """
    from scipy.interpolate import BSpline

    degree = min(degree, coefficients - 1)
    if degree == 0:
        matrix = np.zeros((size, coefficients))
        matrix[np.arange(size), np.arange(size) * coefficients // size] = 1
    else:
        inner = np.linspace(0, 1, coefficients - degree + 1)
        knots = np.concatenate([np.zeros(degree), inner, np.ones(degree)])
        times = np.linspace(0, 1, size)
        matrix = BSpline.design_matrix(times, knots, degree).toarray()
    result = matrix.astype(np.float32)
    result.setflags(write=False)
    return result
