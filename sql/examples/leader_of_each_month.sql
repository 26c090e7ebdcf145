-- Which Census region had the most new cases for its size, in each month?
-- The regions are the four of the U.S. Census Bureau, which hold the 50 states and the District of Columbia.

with
region as (
    select
        census_region,
        sum(population) as population
    from location_dimension
    where census_region is not null
    group by census_region
),

month as (
    select
        calendar.month_start,
        location.census_region,
        sum(per_day.new_cases) as new_cases
    from mart.new_per_day as per_day
    inner join date_dimension as calendar on per_day.report_date = calendar.date
    inner join location_dimension as location using (location_code)
    group by calendar.month_start, location.census_region
),

ranked as (
    select
        month.month_start,
        census_region,
        month.new_cases,
        round(month.new_cases * 100000.0 / region.population, 1) as new_cases_per_100k,
        rank() over (
            partition by month.month_start order by month.new_cases / region.population desc nulls last
        ) as place
    from month
    inner join region using (census_region)
)

select
    month_start,
    census_region,
    new_cases,
    new_cases_per_100k
from ranked
where place = 1 and new_cases > 0
order by month_start, census_region;

-- First rows:
--  month_start | census_region | new_cases | new_cases_per_100k
-- -------------+---------------+-----------+--------------------
--  2020-01-01  | West          |         2 |                0.0
--  2020-02-01  | West          |        16 |                0.0
--  2020-03-01  | Northeast     |    110602 |              197.4
--  2020-04-01  | Northeast     |    461202 |              823.1
--  2020-05-01  | Northeast     |    194416 |              347.0
--  2020-06-01  | South         |    420625 |              340.8
--  2020-07-01  | South         |   1107126 |              897.1
--  2020-08-01  | South         |    766609 |              621.2
--  2020-09-01  | Midwest       |    323217 |              474.6
--  2020-10-01  | Midwest       |    646581 |              949.3
--  2020-11-01  | Midwest       |   1609691 |             2363.4
--  2020-12-01  | West          |   1718548 |             2227.6
