"""The ground: errors, names for arrays, specs, contracts between wings, files, progress."""
