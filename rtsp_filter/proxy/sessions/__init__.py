"""Sessions: their life, the ways of their media, and what they outlive."""
