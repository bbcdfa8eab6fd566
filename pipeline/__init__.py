"""Decides, limits, remembers and reports."""
