"""Reads a data set in the YOLO layout with ultralytics, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json, sys
from ultralytics import settings
settings.update({"sync": False})
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset
data = check_det_dataset(sys.argv[1], autodownload=False)
found = {}
for split in ("train", "val"):
    dataset = YOLODataset(img_path=data[split], data=data, task=sys.argv[2], augment=False, cache=False)
    found[split] = {}
    for label in dataset.labels:
        x, y, w, h = (label["bboxes"][:, i] for i in range(4))
        corners = [list(map(float, row)) for row in zip(x - w / 2, y - h / 2, x + w / 2, y + h / 2)]
        found[split][label["im_file"]] = [[int(c) for c in label["cls"].ravel()], corners]
print("RESULT" + json.dumps(found))
"""


def read_with_ultralytics(file: Path, task: str) -> dict[str, dict[str, tuple[list[int], list[list[float]]]]]:
    """Split → image → classes and boxes (x1 y1 x2 y2, shares of the sides); `task`: detect or segment."""
    env = {
        **os.environ,
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "0",
        "YOLO_CONFIG_DIR": str(file.parents[2]),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file), task], env=env, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.rpartition("RESULT")[2])
