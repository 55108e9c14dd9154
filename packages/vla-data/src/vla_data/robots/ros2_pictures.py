"""Pictures as ROS 2 sends them, as RGB."""

from __future__ import annotations

from typing import Any

import numpy as np

from vla_data.errors import VlaError
from vla_data.robots.driver import RobotError
from vla_data.robots.ros2_mapping import Ros2Camera
from vla_data.types import Image

CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}


def picture(camera: Ros2Camera, message: Any) -> Image:
    """A message of sensor_msgs/Image or CompressedImage (JPEG or PNG), uint8 [height, width, 3].

    Raises:
        RobotError: it is no such picture, or of another size than the file says.
    """
    image = _raw(camera, message) if camera.type == "sensor_msgs/Image" else _compressed(camera, message)
    if image.shape[:2] == (camera.height, camera.width):
        return image
    if not camera.resize:
        raise RobotError(
            "a camera's pictures are of another size",
            where=f"{camera.name}: {camera.topic}",
            expected=f"{camera.height} × {camera.width} pixels",
            got=f"{image.shape[0]} × {image.shape[1]}",
            next_step="give the camera this height and width in the file, or resize = true",
        )
    from PIL import Image as Pillow

    small = Pillow.fromarray(image).resize((camera.width, camera.height), Pillow.Resampling.BILINEAR)
    return np.asarray(small)


def _raw(camera: Ros2Camera, message: Any) -> Image:
    channels = CHANNELS.get(message.encoding)
    height, width, row = int(message.height), int(message.width), int(message.step)
    data = np.frombuffer(message.data, np.uint8)
    if channels is None or row < width * channels or data.size < height * row or not data.size:
        raise RobotError(
            "a camera's pictures cannot be read",
            where=f"{camera.name}: {camera.topic}",
            expected=f"{', '.join(CHANNELS)}, as many bytes as its size says",
            got=f"{message.encoding!r}, {height} × {width}, {data.size} bytes",
            next_step="let the camera's node send rgb8",
        )
    pixels = data[: height * row].reshape(height, row)[:, : width * channels]
    pixels = pixels.reshape(height, width, channels)[..., :3]
    if channels == 1:
        return np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels[..., ::-1] if message.encoding.startswith("bgr") else pixels)


def _compressed(camera: Ros2Camera, message: Any) -> Image:
    from vla_data.images import decode

    try:
        return decode(bytes(message.data), where=f"{camera.name}: {camera.topic}")
    except VlaError as error:
        raise RobotError(
            "a camera's pictures cannot be read",
            where=f"{camera.name}: {camera.topic}",
            expected="JPEG or PNG",
            got=f"{message.format!r}: {error.message}",
        ) from error
