"""What is learnt from features: transforms, heads, and the choice among them."""
