"""What is kept: features computed once, in a store on disk."""
