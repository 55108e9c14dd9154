"""What a robot's camera shows, told as objects: a few frames through the perception loop of vla-vision."""

from __future__ import annotations

import time

import numpy as np

from vla_data.errors import VlaError
from vla_data.robots.robot_link import RobotLink
from vla_model.serving.robot_tools import SceneInfo, SeenObject
from vla_vision.perception import Perceiver, Sight, SightConfig
from vla_vision.perception.percept import Percept
from vla_vision.tracking.sources import SourceFrame

FRAMES, APART = 6, 0.1  # looks, seconds between them: a track is confirmed and its speed settles


class Describer:
    """Objects in view of a robot's first camera, with places where depth is known.

    Args:
        detector: weights; `blobs` and `motion` need none.
        depth: weights of a metric depth model; None: boxes alone.

    Raises:
        CheckpointError, MissingDependencyError: weights cannot be loaded.
    """

    def __init__(self, link: RobotLink, detector: str, depth: str | None = None) -> None:
        self._link, self._names = link, (detector, depth or "none")
        self._sight = Sight(SightConfig(detector, depth or "none"))

    def __call__(self) -> SceneInfo:
        """Look and tell; takes about half a second.

        Raises:
            VlaError: the robot has no camera.
        """
        if not self._link.cameras:
            raise VlaError("this robot has no camera", where=self._link.spec.name)
        camera = self._link.cameras[0]
        size = (camera.height, camera.width)
        with Perceiver(self._sight.models, self._sight.config.loop, camera.intrinsics, size) as perceiver:
            percept = None
            for index in range(1, FRAMES + 1):
                began = time.monotonic()
                seen = self._link.observe()
                pose = None if camera.pose is None else np.array(camera.pose)
                frame = SourceFrame(index, seen.time, seen.images[camera.name], pose=pose)
                percept = perceiver.update(frame)
                time.sleep(max(0.0, APART - (time.monotonic() - began)))
        assert percept is not None
        detector, depth = self._names
        placed = percept.velocities
        return SceneInfo(
            f"{detector} over {camera.name}, depth: {depth}",
            placed.frame if placed is not None else "pixels",
            _objects(percept, self._sight.class_names),
        )


def _objects(percept: Percept, names: tuple[str, ...]) -> list[SeenObject]:
    placed = percept.velocities
    row_of = {} if placed is None else {int(i): n for n, i in enumerate(placed.ids)}
    found = []
    for track, box, label, score in zip(
        percept.tracks.ids, percept.tracks.boxes, percept.tracks.classes, percept.tracks.scores, strict=True
    ):
        row = row_of.get(int(track))
        position = [] if placed is None or row is None else placed.positions[row].round(3).tolist()
        velocity = [] if placed is None or row is None else placed.velocities[row].round(3).tolist()
        name = names[int(label)] if 0 <= int(label) < len(names) else f"thing {int(track)}"
        found.append(SeenObject(name, box.round(1).tolist(), position, velocity, round(float(score), 3)))
    return found
