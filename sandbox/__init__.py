"""Runs untrusted commands in isolation; knows neither stages nor pipeline."""
