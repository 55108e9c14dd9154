"""Matrices of whole runs, from demonstrations to success, and what goes with success."""
