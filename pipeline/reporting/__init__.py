"""What people and programs are told of a run, worked out from its memory alone."""
