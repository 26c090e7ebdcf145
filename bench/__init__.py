"""What measures the loader: `make bench`."""
