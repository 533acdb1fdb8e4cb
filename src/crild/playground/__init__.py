"""`play`: a local page on which a finished run's teacher, student and export answer, side by side."""
