"""Simulators behind one protocol, their scripted experts, placements and instructions."""
