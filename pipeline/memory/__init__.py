"""The one memory of a run: database, journal, ledger of paid calls, and the rules of its breaker."""
