-- For how many weeks in a row did a state's new cases fall, at the longest?
-- Weeks that fall one after the other form an island: their number minus their place among the falling weeks is constant.

with
change as (
    select
        location_code,
        name,
        first_day,
        new_cases,
        first_day - date '2020-01-05' as day_number,
        new_cases < lag(new_cases) over (partition by location_code order by first_day) as fell
    from mart.weekly
    where week_type = 'mmwr' and location_type = 'state'
),

island as (
    select
        location_code,
        name,
        first_day,
        new_cases,
        day_number / 7 - row_number() over (partition by location_code order by first_day) as number
    from change
    where fell
)

select
    location_code,
    name,
    count(*) as weeks,
    min(first_day) as first_week,
    max(first_day) as last_week
from island
group by location_code, name, number
order by weeks desc, location_code asc, first_week asc;

-- First rows:
--  location_code | name         | weeks | first_week | last_week
-- ---------------+--------------+-------+------------+------------
--  RI            | Rhode Island |    11 | 2020-04-26 | 2020-07-05
--  NY            | New York     |    10 | 2020-04-12 | 2020-06-14
--  PA            | Pennsylvania |     9 | 2020-04-12 | 2020-06-07
--  TN            | Tennessee    |     9 | 2020-12-20 | 2021-02-14
--  AZ            | Arizona      |     8 | 2021-01-10 | 2021-02-28
