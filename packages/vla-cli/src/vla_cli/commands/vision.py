"""`vla vision`: what is where in video, how far, and moving how fast."""

from __future__ import annotations

from vla_cli.commands import (
    vision_depth,
    vision_encode,
    vision_eval,
    vision_labels,
    vision_perceive,
    vision_track,
    vision_train,
)
from vla_cli.parser import make_group

app = make_group("Video into tokens: labels, detection, tracks, depth, velocity.")

vision_labels.register(app)
vision_train.register(app)
vision_track.register(app)
vision_depth.register(app)
vision_perceive.register(app)
vision_encode.register(app)
vision_eval.register(app)
