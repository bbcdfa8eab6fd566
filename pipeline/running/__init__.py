"""A run under way: opened, driven from attempt to attempt, ended and resumed."""
