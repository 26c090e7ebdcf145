-- Where were the hospitals fullest of COVID patients, and when?
-- The highest 7-day mean of patients per million people in each location, over the whole series: in some places that was
-- in the spring of 2020; with report_date >= '2020-10-01' it is the winter's. Not every location published patients.

with
peak as (
    -- distinct on keeps the first row of each location, in the order given.
    select distinct on (location_code)
        location_code,
        name,
        report_date,
        currently_hospitalized_7d_mean,
        currently_hospitalized_7d_mean_per_100k
    from mart.rolling_7d
    where location_type <> 'nation' and currently_hospitalized_7d_mean is not null
    order by location_code asc, currently_hospitalized_7d_mean_per_100k desc, report_date asc
)

select
    location_code,
    name,
    report_date,
    round(currently_hospitalized_7d_mean) as patients,
    round(currently_hospitalized_7d_mean_per_100k * 10, 1) as patients_per_million
from peak
order by patients_per_million desc, location_code asc;

-- First rows:
--  location_code | name         | report_date | patients | patients_per_million
-- ---------------+--------------+-------------+----------+----------------------
--  NY            | New York     | 2020-04-15  |    18581 |                949.3
--  NJ            | New Jersey   | 2020-04-18  |     7970 |                897.7
--  AZ            | Arizona      | 2021-01-14  |     4982 |                706.7
--  SD            | South Dakota | 2020-11-23  |      581 |                667.2
--  NV            | Nevada       | 2020-12-23  |     1967 |                661.7
