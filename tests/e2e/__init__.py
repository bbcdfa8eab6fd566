"""Whole runs through the installed command: real git, real Docker, real SDKs against loopback servers."""
