-- How many new cases and deaths did New Jersey have in the week to 1 July 2020, as published that evening and as published last?
-- Another day may stand in place of this one, from the first in mart.vintage on.

select
    now.report_date,
    seen.new_cases as cases_then,
    now.new_cases as cases_now,
    seen.new_deaths as deaths_then,
    now.new_deaths as deaths_now
from mart.new_per_day as now
left join mart.new_per_day_as_of(mart.vintage_of('2020-07-01')) as seen using (location_code, report_date)
where now.location_code = 'NJ' and now.report_date between '2020-06-25' and '2020-07-01'
order by now.report_date;

-- First rows, with the past:
--  report_date | cases_then | cases_now | deaths_then | deaths_now
-- -------------+------------+-----------+-------------+------------
--  2020-06-25  |        304 |       324 |        1877 |         23
--  2020-06-26  |        388 |       419 |          42 |         43
--  2020-06-27  |        289 |       313 |          34 |         36
--  2020-06-28  |        309 |       331 |          27 |         27
--  2020-06-29  |         90 |       106 |          17 |         19
--  2020-06-30  |        395 |       438 |          43 |         43
--  2020-07-01  |        261 |       299 |          43 |         43
