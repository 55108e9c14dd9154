"""Entries of Open X-Embodiment's data sets, by lab. `vla_data.openx.entries` holds all of them."""
