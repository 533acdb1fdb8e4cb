"""Task types, one file each. Adding one means adding its file, with its ``TASK_TYPE``, and its name here."""

TASK_NAMES = ("multi-label", "regression", "classification")
"""Asked in this order whether raw labels suit them; the last one takes all that is left. No torch here."""
