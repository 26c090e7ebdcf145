"""One page with charts of what is loaded, or pictures of the national curves."""
