"""Open X-Embodiment: what the keys and numbers of its data sets mean."""
