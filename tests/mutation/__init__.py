"""Small changes to the sources that the tests of the same path should notice: ``make mutate``."""
