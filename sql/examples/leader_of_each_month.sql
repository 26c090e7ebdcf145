-- Which state had the most new cases for its size, in each month?

with
month as (
    select
        calendar.month_start,
        per_day.location_code,
        per_day.name,
        sum(per_day.new_cases) as new_cases,
        round(sum(per_day.new_cases) * 100000.0 / per_day.population, 1) as new_cases_per_100k
    from mart.new_per_day as per_day
    inner join date_dimension as calendar on per_day.report_date = calendar.date
    where per_day.location_type = 'state'
    group by calendar.month_start, per_day.location_code, per_day.name, per_day.population
),

ranked as (
    select
        *,
        rank() over (partition by month_start order by new_cases_per_100k desc nulls last) as place
    from month
)

select
    month_start,
    location_code,
    name,
    new_cases,
    new_cases_per_100k
from ranked
where place = 1 and new_cases > 0
order by month_start, location_code;

-- First rows:
--  month_start | location_code | name                 | new_cases | new_cases_per_100k
-- -------------+---------------+----------------------+-----------+--------------------
--  2020-01-01  | WA            | Washington           |         2 |                0.0
--  2020-02-01  | WA            | Washington           |        16 |                0.2
--  2020-03-01  | NY            | New York             |     75795 |              387.3
--  2020-04-01  | NY            | New York             |    228577 |             1167.9
--  2020-05-01  | DC            | District of Columbia |      4478 |              646.5
