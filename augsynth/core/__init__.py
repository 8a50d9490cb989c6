"""Floor 0: errors, randomness, containers, parameters, persistence, progress."""
