"""The bare script that one national day is compared with: requests.get, json, one INSERT.

python bench/one_day.py URL DSN
"""

import json
import sys

import psycopg2
import requests

url, dsn = sys.argv[1:]
day = json.loads(requests.get(f"{url}/us/daily/2021-01-02.json", timeout=60).text)["data"]
connection = psycopg2.connect(dsn)
with connection, connection.cursor() as cursor:
    cursor.execute("create table if not exists public.bare (day date primary key, cases bigint, deaths bigint)")
    cursor.execute(
        "insert into public.bare values (%s, %s, %s) on conflict (day) do update"
        " set cases = excluded.cases, deaths = excluded.deaths",
        (day["date"], day["cases"]["total"]["value"], day["outcomes"]["death"]["total"]["value"]),
    )
