"""A model behind the breaker: every call bounded in tokens, money and time."""
