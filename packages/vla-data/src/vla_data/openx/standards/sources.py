"""Where the conventions of entries were read off."""

TFDS = "feature notes of the TensorFlow Datasets catalogue"
OCTO = "Octo's table of transforms (octo/data/oxe)"
OPENVLA = "OpenVLA's table of transforms (prismatic/vla/datasets/rlds/oxe)"
BOTH = f"{TFDS}; {OCTO}"
SPOKEN = "observation/natural_language_instruction"  # where eleven of the first data sets keep the language
PRIMARY = {"primary": "image"}
WITH_WRIST = {"primary": "image", "wrist": "wrist_image"}
EEF = "delta_position delta_euler gripper"
WORLD = ("action/world_vector", "action/rotation_delta")
