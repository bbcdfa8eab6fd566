"""What the runner does with the user's repository on the host: read, describe, and publish one branch."""
