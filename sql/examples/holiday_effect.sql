-- How much less was reported on holidays?
-- The day's new cases beside the mean of the 7 days before it.

select
    rolling.report_date,
    calendar.federal_holiday,
    rolling.new_cases,
    round(week_before.new_cases_7d_mean) as mean_of_week_before,
    round(100 * (rolling.new_cases / week_before.new_cases_7d_mean - 1), 1) as difference_percent
from mart.rolling_7d as rolling
inner join mart.rolling_7d as week_before
    on rolling.location_code = week_before.location_code and rolling.report_date = week_before.report_date + 1
inner join date_dimension as calendar on rolling.report_date = calendar.date
where rolling.location_code = 'US' and calendar.federal_holiday is not null and rolling.report_date >= '2020-05-01'
order by rolling.report_date;

-- First rows:
--  report_date | federal_holiday  | new_cases | mean_of_week_before | difference_percent
-- -------------+------------------+-----------+---------------------+--------------------
--  2020-05-25  | Memorial Day     |     18543 |               22167 |              -16.3
--  2020-07-04  | Independence Day |     54846 |               47143 |               16.3
--  2020-09-07  | Labor Day        |     28117 |               39822 |              -29.4
--  2020-10-12  | Columbus Day     |     43248 |               49210 |              -12.1
--  2020-11-11  | Veterans Day     |    149333 |              121934 |               22.5
