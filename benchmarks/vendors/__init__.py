"""What the vendors' SDKs cost: their import, and each call beside the bare SDK and plain HTTP."""
