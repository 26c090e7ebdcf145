-- Which share of the nation's hospital patients was in intensive care, and which on a ventilator?
-- The figures are mean levels of each month. Fewer states published intensive care than patients, so that the shares are
-- somewhat too low.

select
    calendar.month_start,
    round(avg(summary.currently_hospitalized)) as in_hospital,
    round(avg(summary.currently_in_icu) * 100 / avg(summary.currently_hospitalized), 1) as percent_in_icu,
    round(avg(summary.currently_on_ventilator) * 100 / avg(summary.currently_hospitalized), 1) as percent_on_ventilator
from mart.daily_summary as summary
inner join date_dimension as calendar on summary.report_date = calendar.date
where summary.location_code = 'US' and summary.currently_hospitalized > 0
group by calendar.month_start
order by calendar.month_start;

-- First rows:
--  month_start | in_hospital | percent_in_icu | percent_on_ventilator
-- -------------+-------------+----------------+-----------------------
--  2020-03-01  |        6476 |           36.8 |                   5.5
--  2020-04-01  |       50348 |           24.8 |                   9.0
--  2020-05-01  |       44385 |           24.8 |                  11.6
--  2020-06-01  |       30884 |           22.9 |                   8.9
--  2020-07-01  |       52060 |           18.0 |                   4.5
