"""What binds: gates on what a stage proposes, and the user's checks against the baseline."""
