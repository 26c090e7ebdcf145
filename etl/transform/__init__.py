"""Pure: bytes to records, what is wrong or new in them, rows for COPY. No I/O, no clock, no database."""
