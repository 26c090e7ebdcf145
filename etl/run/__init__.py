"""Drives documents through extract, transform and load; the record of a run, its summary, its alerts."""
