"""A real model, small enough to run anywhere and too small to be of use, in the place of a vendor."""
