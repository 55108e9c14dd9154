"""What to look at in a simulator, and how carefully it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vla_data.errors import ConfigError

RenderMode = Literal["fast", "reference"]
MOST_TURN, ZOOM = 85.0, 8.0  # degrees, factor


@dataclass(frozen=True)
class Wander:
    """Where a camera may stand that stands somewhere else at every look.

    Args:
        centre: about the point it looks at, metres, world frame.
        nearest, farthest: distance from there, metres.
        lowest, highest: above the horizon, degrees below 90.
        fovy: vertical field of view, degrees.
    """

    centre: tuple[float, float, float]
    nearest: float = 0.7
    farthest: float = 1.7
    lowest: float = 12.0
    highest: float = 85.0
    fovy: float = 50.0

    def __post_init__(self) -> None:
        distances = 0 < self.nearest <= self.farthest
        if not (distances and -90 < self.lowest <= self.highest < 90 and 0 < self.fovy < 180):
            raise ConfigError(
                "a camera cannot wander like this",
                where="Wander",
                expected="0 < nearest ≤ farthest, −90 < lowest ≤ highest < 90, 0 < fovy < 180",
                got=f"{self.nearest}…{self.farthest} m, {self.lowest}…{self.highest}°, fovy {self.fovy}",
            )


@dataclass(frozen=True)
class Aim:
    """How a camera is turned from where it is.

    Args:
        pan, tilt: degrees, left and up positive.
        zoom: factor of the focal length.
        stand, at: where it stands and the point it looks at before it is turned, metres, world frame; both
            None for where the simulator has it.
    """

    pan: float = 0.0
    tilt: float = 0.0
    zoom: float = 1.0
    stand: tuple[float, float, float] | None = None
    at: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if (self.stand is None) != (self.at is None):
            raise ConfigError("a camera needs both", where="Aim", expected="stand and at, or neither")
        if not (abs(self.pan) <= MOST_TURN and abs(self.tilt) <= MOST_TURN and 1 / ZOOM <= self.zoom <= ZOOM):
            raise ConfigError(
                "a camera cannot be aimed like this",
                where="Aim",
                expected=f"pan and tilt within ±{MOST_TURN:g}°, zoom {1 / ZOOM:g} … {ZOOM:g}",
                got=f"pan {self.pan:g}, tilt {self.tilt:g}, zoom {self.zoom:g}",
            )


@dataclass(frozen=True)
class Place:
    """Where a camera that roves may look from: a camera of the simulator, aimed."""

    name: str
    source: str
    aim: Aim = Aim()


@dataclass(frozen=True)
class CameraView:
    """A picture taken at every observation.

    Args:
        name: what the camera is called in observations and data sets.
        source: what the simulator calls it.
        height, width: pixels.
        wander: the camera stands somewhere else at every look, as seen from a borrowed `source` that is
            fixed to the world; its poses are recorded.
        aim: how it is turned and zoomed; not for a view that wanders.
        places: the camera roves: a trial begins at one of these by chance, and whoever looks through it may
            choose another, pan, tilt and zoom (`vla_data.sim.roving`); its poses are recorded.
    """

    name: str
    source: str
    height: int = 64
    width: int = 64
    wander: Wander | None = None
    aim: Aim = Aim()
    places: tuple[Place, ...] = ()

    @property
    def moves(self) -> bool:
        """Whether it stands elsewhere at another moment."""
        return self.wander is not None or bool(self.places)

    def __post_init__(self) -> None:
        if self.wander is not None and (self.places or self.aim != Aim()):
            raise ConfigError(
                "a camera that wanders cannot be aimed",
                where=f"camera {self.name}",
                expected="wander alone, or aim and places",
                got="both",
            )
        if self.height < 1 or self.width < 1:
            raise ConfigError(
                "a camera has no pixels",
                where=f"camera {self.name}",
                expected="height and width of at least 1",
                got=f"{self.height} × {self.width}",
            )


@dataclass(frozen=True)
class Perturbation:
    """How much of what differs; nothing by default.

    Args:
        camera: degrees by which cameras that stand still are turned at most, each way.
        light: share of their brightness that lights lose or gain at most, and of their direction.
        colour: share of every surface's colour that is replaced by another.
        start: metres that the hand stands elsewhere at most when a trial begins (it moves there from its own
            start, upwards or aside).
        swap: two loose things change places, where there are two.
        distractors: things that belong to no task and are seen beside, at most.

    Raises:
        ConfigError: an amount is negative, or a share above 1.
    """

    camera: float = 0.0
    light: float = 0.0
    colour: float = 0.0
    start: float = 0.0
    swap: bool = False
    distractors: int = 0

    def __post_init__(self) -> None:
        shares = 0 <= self.light <= 1 and 0 <= self.colour <= 1
        if not (0 <= self.camera <= 45 and shares and 0 <= self.start <= 0.3 and 0 <= self.distractors <= 20):
            raise ConfigError(
                "a scene cannot differ like this",
                where="Perturbation",
                expected="camera 0 … 45°, light and colour 0 … 1, start 0 … 0.3 m, distractors 0 … 20",
                got=f"{self}",
            )


@dataclass(frozen=True)
class SimConfig:
    """How a simulator is looked at.

    Args:
        cameras: the views of every observation; None stands for the simulator's usual two.
        render: "fast" leaves out shadows, multi-sampling, reflections and sky, and thins out dense meshes
            of robots; "reference" draws what the simulator's authors set up.
        settle_steps: no-op steps after a reset, where a simulator's protocol has them (LIBERO: 10).
        world_seed: seed of a simulator's own fixtures, where they vary apart from the placement (LIBERO).
        perturbation: how scenes differ from what the simulator makes (`vla_data.sim.perturbing`).
    """

    cameras: tuple[CameraView, ...] | None = None
    render: RenderMode = "fast"
    settle_steps: int = 10
    world_seed: int = 0
    perturbation: Perturbation = Perturbation()

    def __post_init__(self) -> None:
        names = [view.name for view in self.cameras or ()]
        if len(set(names)) < len(names):
            raise ConfigError(
                "two cameras have one name", where="SimConfig.cameras", got=", ".join(sorted(names))
            )
