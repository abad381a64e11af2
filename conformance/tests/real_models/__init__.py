"""Real trained weights, and real peers beside us."""
