"""Reads what is loaded, and writes nothing to the database."""
