-- How many of the cases found so far had died, at the end of each month?
-- The crude ratio of two running totals fell because more cases were found, and because treatment became better. The deaths
-- of the latest cases are still to come.

select
    calendar.month_start,
    summary.report_date,
    summary.total_deaths,
    summary.total_cases,
    round(summary.total_deaths * 100.0 / nullif(summary.total_cases, 0), 2) as case_fatality_percent
from mart.daily_summary as summary
inner join date_dimension as calendar on summary.report_date = calendar.date
where summary.location_code = 'US' and summary.report_date = (calendar.month_start + interval '1 month - 1 day')::date
order by calendar.month_start;

-- First rows:
--  month_start | report_date | total_deaths | total_cases | case_fatality_percent
-- -------------+-------------+--------------+-------------+-----------------------
--  2020-01-01  | 2020-01-31  |       (null) |           2 |                (null)
--  2020-02-01  | 2020-02-29  |            5 |          18 |                 27.78
--  2020-03-01  | 2020-03-31  |         4331 |      196965 |                  2.20
--  2020-04-01  | 2020-04-30  |        59646 |     1073244 |                  5.56
--  2020-05-01  | 2020-05-31  |       100783 |     1791449 |                  5.63
