"""What several rooms of learning need: what parameters may be, and folds of rows."""
