"""Gets documents from a source, as bytes: the API over HTTP, or a directory."""
