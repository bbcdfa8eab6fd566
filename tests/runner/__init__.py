"""The run loop, with real git and the real stages over a folder instead of a container."""
