"""Floor 1: tables and labels to numbers and back."""
