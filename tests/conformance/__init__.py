"""One suite over every framework: the same verbs, the same numbers."""
