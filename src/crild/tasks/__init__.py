"""Task types, one file each. Adding one means adding its file, with its ``TASK_TYPE``, and its name here."""

TASK_NAMES = ("regression", "classification")
"""In the order in which they are asked whether raw labels suit them; the last one takes all that is left. No torch here."""
