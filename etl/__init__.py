"""covid-tracking-etl: loads the COVID Tracking Project API v2 into a Postgres star schema."""

__version__ = "0.1.0"
