"""Values to numbers around zero and back, losing nothing: offset and scale are short decimals for a text.

The idea of stating them beside a normalised series is ChatTS's (Xie et al. 2024, arXiv:2412.03104). Here both
are chosen for their text: the scale is 1, 2 or 5 times a power of ten, the offset a multiple of a tenth of
it. What the text says is therefore exactly what was used, in few digits.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from jaxtyping import Float32, Float64

from vla_data.errors import DataError

NEXT = 1.5  # from 1, 2 or 5 over this to the next of them
FINEST = 1e-5  # a scale below this share of the values would only show how float32 rounds
CONSTANT = 0.01  # the scale of a constant series, as a share of its value
VANISHED = 2.0**-50  # what a zero may come back as, in units of |offset| + scale
TEXT = re.compile(r"offset=(?P<offset>\S+) scale=(?P<scale>\S+)")


@dataclass(frozen=True)
class SeriesScale:
    """`normalised = (value - offset) / scale`, in [-1, 1] on the series it was made for.

    Args:
        offset: in the units of the series.
        scale: in the units of the series, above zero.

    Raises:
        DataError: offset or scale is not finite, or the scale is not above zero.
    """

    offset: float
    scale: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.offset) and 0 < self.scale < math.inf):
            raise DataError(
                "a series cannot be scaled like this",
                expected="a finite offset and a finite scale above zero",
                got=self.text,
            )

    @classmethod
    def of(cls, values: Float32[np.ndarray, "steps"]) -> SeriesScale:
        """The scale of a series' values, which are finite and at least one."""
        low, high = float(values.min()), float(values.max())
        largest = max(abs(low), abs(high))
        half = (high - low) / 2 or largest * CONSTANT or 1.0
        scale = round_up(max(half, largest * FINEST))
        made = cls(_nearest((low + high) / 2, scale), scale)
        if max(high - made.offset, made.offset - low) <= scale:
            return made
        scale = round_up(scale * NEXT)
        return cls(_nearest((low + high) / 2, scale), scale)

    @property
    def text(self) -> str:
        """What a prompt says; `parse` gives the same numbers back, bit for bit."""
        return f"offset={short(self.offset)} scale={short(self.scale)}"

    @classmethod
    def parse(cls, text: str) -> SeriesScale:
        """The first scale stated in a text. Raises DataError where none is."""
        found = TEXT.search(text)
        try:
            return cls(float(found["offset"]), float(found["scale"]))  # type: ignore[index]
        except (TypeError, ValueError):
            raise DataError(
                "a text states no scale of a series", expected="offset=NUMBER scale=NUMBER", got=repr(text)
            ) from None

    def normalize(self, values: Float32[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """Values to numbers around zero, in double precision so that nothing is lost."""
        return (values.astype(np.float64) - self.offset) / self.scale

    def denormalize(self, normalised: Float64[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
        """The inverse of `normalize`.

        Bit for bit for zeros and for every value of at least 2^-26 of |offset| + scale; smaller ones come
        back to within 2^-50 of |offset| + scale.
        """
        values = normalised * self.scale + self.offset
        values[np.abs(values) <= VANISHED * (abs(self.offset) + self.scale)] = 0.0
        return values.astype(np.float32)


def round_up(value: float) -> float:
    """The smallest 1, 2 or 5 times a power of ten that is not below `value`, which is above zero."""
    exponent = math.floor(math.log10(value))
    candidates = (float(f"{digit}e{exponent + up}") for up in (-1, 0, 1) for digit in (1, 2, 5))
    return next(c for c in candidates if c >= value)


def short(number: float) -> str:
    """The shortest decimal that reads as this number: "5" for 5.0."""
    return repr(number + 0.0).removesuffix(".0")


def _nearest(middle: float, scale: float) -> float:
    """The multiple of a tenth of the scale that is nearest."""
    step = Decimal(repr(scale)) / 10
    return float((Decimal(middle) / step).to_integral_value() * step)
