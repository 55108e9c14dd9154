"""What can go wrong in training itself."""

from __future__ import annotations

from vla_data.errors import VlaError


class DivergedError(VlaError):
    """The loss or a weight became NaN or infinite; the message names the step."""

    @classmethod
    def at(cls, step: int, got: str) -> DivergedError:
        """The error for step `step`, where `got` was found."""
        return cls(
            "training diverged",
            where=f"step {step}",
            expected="finite loss and weights",
            got=got,
            next_step="lower learning_rate or gradient_clip; the last good resume state is kept",
        )
