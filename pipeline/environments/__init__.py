"""Which image a run's containers are made of, why, and how it comes to be there."""
