-- On which weekdays are cases and deaths reported, and on which are they held back?
-- A share of 1 is an even seventh of the week. The days are whole weeks of 2020, so that each weekday counts alike.

select
    calendar.weekday_name,
    round(7 * sum(per_day.new_cases) / nullif(sum(sum(per_day.new_cases)) over (), 0), 3) as share_of_cases,
    round(7 * sum(per_day.new_deaths) / nullif(sum(sum(per_day.new_deaths)) over (), 0), 3) as share_of_deaths
from mart.new_per_day as per_day
inner join date_dimension as calendar on per_day.report_date = calendar.date
where per_day.location_code = 'US' and per_day.report_date between '2020-06-29' and '2020-12-27'
group by calendar.iso_weekday, calendar.weekday_name
order by calendar.iso_weekday;

-- First rows:
--  weekday_name | share_of_cases | share_of_deaths
-- --------------+----------------+-----------------
--  Monday       |          0.842 |           0.501
--  Tuesday      |          0.946 |           1.161
--  Wednesday    |          1.036 |           1.352
--  Thursday     |          1.057 |           1.243
--  Friday       |          1.120 |           1.138
--  Saturday     |          1.063 |           1.033
--  Sunday       |          0.935 |           0.572
