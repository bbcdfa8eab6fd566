"""Tickets, from any of their formats to one type."""
