"""The connection, the embedded server, the schema, and the checks of what is loaded."""
