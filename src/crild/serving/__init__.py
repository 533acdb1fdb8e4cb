"""A classifier as files that run without PyTorch, and the proof of what that costs and saves."""
