"""What a sandbox costs, beside `docker exec` and a peer, against the limits we set."""
