"""What people read: tables, figures and pages of plain values; a run shows itself with them."""
