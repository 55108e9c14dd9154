"""A trained policy as a service."""
