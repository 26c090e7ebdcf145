"""The nation alone through pandas: read, flatten, `to_sql`.

python -m bench.with_pandas URL DATABASE_URL
"""

import sys

import pandas as pd
import requests
from sqlalchemy import create_engine


def main(url: str, url_of_database: str) -> None:
    """Replaces the table with the nation's history."""
    rows = requests.get(f"{url}/us/daily.json", timeout=60).json()["data"]
    frame = pd.json_normalize(rows)
    frame.columns = [name.replace(".", "_")[-60:] for name in frame.columns]
    frame.to_sql("nation", create_engine(url_of_database), if_exists="replace", index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
