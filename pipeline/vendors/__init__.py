"""One module or small package per vendor surface, loaded by name."""
