"""What leaves: predictors, their scores, reports."""
