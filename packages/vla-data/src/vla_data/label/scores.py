"""How well two divisions of an episode agree."""

from __future__ import annotations

from collections.abc import Sequence

from vla_data.types import SubStep


def overlap(one: SubStep, other: SubStep) -> float:
    """Intersection over union of two sub-steps, 0…1."""
    shared = min(one.stop, other.stop) - max(one.start, other.start)
    whole = max(one.stop, other.stop) - min(one.start, other.start)
    return max(0, shared) / whole if whole else 0.0


def segment_f1(
    found: Sequence[SubStep], truth: Sequence[SubStep], at: float = 0.5, *, same_text: bool = False
) -> float:
    """Segmental F1 at an overlap, 0…1, as in Lea et al. 2017 (arXiv:1611.05267; "F1@50" for 0.5).

    A found sub-step counts once, as right when its overlap with the true one it overlaps most is at least
    `at` and no earlier one took that. Where the cuts lie within that does not matter; too many count.

    Args:
        found, truth: sub-steps of one episode, in order.
        at: least intersection over union.
        same_text: compare only sub-steps of one text; without, where they lie is all that counts.
    """
    taken = [False] * len(truth)
    for one in found:
        shares = [0.0 if same_text and one.text != t.text else overlap(one, t) for t in truth]
        best = max(range(len(truth)), key=shares.__getitem__, default=None)
        if best is not None and shares[best] >= at and not taken[best]:
            taken[best] = True
    total = len(found) + len(truth)
    return 2 * sum(taken) / total if total else 1.0


def mean_f1(
    pairs: Sequence[tuple[Sequence[SubStep], Sequence[SubStep]]], at: float = 0.5, *, same_text: bool = False
) -> float:
    """The mean over episodes, of (found, truth) each; 0 of none."""
    scores = [segment_f1(found, truth, at, same_text=same_text) for found, truth in pairs]
    return sum(scores) / len(scores) if scores else 0.0
