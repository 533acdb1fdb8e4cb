"""The sections of a run's report, one file each: what is in the folder goes in, texts, tables and pictures come out."""
