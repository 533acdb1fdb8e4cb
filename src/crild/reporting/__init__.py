"""What a run shows: tables and model cards."""
