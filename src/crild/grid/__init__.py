"""Grids of runs, and the one table that they end in; and the search for a method's settings."""
