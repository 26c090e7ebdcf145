"""Turns bytes into records, findings and rows for COPY, without input, output or clock."""
