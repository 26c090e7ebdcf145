"""The connection, the embedded server, the schema."""
