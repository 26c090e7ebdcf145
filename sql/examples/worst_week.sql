-- Which week had the most deaths reported, in each state?
-- The weeks are MMWR weeks of reporting, from Sunday to Saturday; some of the highest hold a backlog of months.

with
ranked as (
    select
        location_code,
        name,
        first_day,
        new_deaths,
        new_deaths_per_100k,
        rank() over (partition by location_code order by new_deaths desc nulls last) as place
    from mart.weekly
    where week_type = 'mmwr' and location_type = 'state'
)

select
    location_code,
    name,
    first_day as week_from,
    new_deaths,
    new_deaths_per_100k
from ranked
where place = 1 and new_deaths > 0
order by new_deaths_per_100k desc, location_code asc, week_from asc;

-- First rows:
--  location_code | name        | week_from  | new_deaths | new_deaths_per_100k
-- ---------------+-------------+------------+------------+---------------------
--  OH            | Ohio        | 2021-02-07 |       4688 |              40.222
--  IN            | Indiana     | 2021-01-31 |       1785 |              26.779
--  NY            | New York    | 2020-04-05 |       5062 |              25.863
--  NJ            | New Jersey  | 2020-04-12 |       2295 |              25.849
--  CT            | Connecticut | 2020-04-19 |        826 |              23.104
