"""Writes documents to the star and its history, with the provenance of each; the rules that people add."""
