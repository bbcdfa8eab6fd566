"""Decides, limits, remembers and reports."""

__version__ = "0.1.0"
