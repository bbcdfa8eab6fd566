"""User documentation, and what writes its tables."""
