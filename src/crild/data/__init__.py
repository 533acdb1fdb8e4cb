"""Names and files -> tokenised data sets."""
