"""One module per command; its first line is its help text."""
