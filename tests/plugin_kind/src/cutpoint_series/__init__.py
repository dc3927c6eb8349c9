"""Series of numbers, of any length, one a file: a kind of item somebody else could write."""
