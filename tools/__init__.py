"""What writes the documentation and its results; nothing here is installed with crild."""
