"""How right perception is: boxes, identities, motion and depth against what is known."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_vision.evaluation.config import PRESETS, EvaluateConfig
    from vla_vision.evaluation.motion_scores import MotionJudge, MotionScores
    from vla_vision.evaluation.run import evaluate_episodes, evaluate_video
    from vla_vision.evaluation.scoring import Evaluation, evaluate
    from vla_vision.evaluation.tracking_scores import Identified, TrackScores, score_tracking
    from vla_vision.evaluation.videos import TrueVideo, labelled_videos, mot_video

_WHERE = {
    "config": ("PRESETS", "EvaluateConfig"),
    "motion_scores": ("MotionJudge", "MotionScores"),
    "scoring": ("Evaluation", "evaluate"),
    "run": ("evaluate_episodes", "evaluate_video"),
    "tracking_scores": ("Identified", "TrackScores", "score_tracking"),
    "videos": ("TrueVideo", "labelled_videos", "mot_video"),
}
_LAZY = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "PRESETS",
    "EvaluateConfig",
    "Evaluation",
    "Identified",
    "MotionJudge",
    "MotionScores",
    "TrackScores",
    "TrueVideo",
    "evaluate",
    "evaluate_episodes",
    "evaluate_video",
    "labelled_videos",
    "mot_video",
    "score_tracking",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"vla_vision.evaluation.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
