"""Monthly statements of a sailing club's berths."""
