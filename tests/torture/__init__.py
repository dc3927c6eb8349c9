"""What a killed process, a failing disk and damaged bytes do to a store and a predictor.

Each harness counts what it tried and what went wrong: work that was lost, rows that were wrong,
words that were no plain error. Short forms run among the tests, long ones by ``make torture``.
"""
