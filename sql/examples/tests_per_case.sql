-- How many tests did it take to find a case, month by month?
-- The ratio is one of monthly sums, not a mean of daily ratios. Where few tests find a case, many infections go unseen.

select
    calendar.month_start,
    sum(per_day.new_tests) as new_tests,
    sum(per_day.new_cases) as new_cases,
    round(sum(per_day.new_tests) / nullif(sum(per_day.new_cases), 0), 1) as tests_per_case
from mart.new_per_day as per_day
inner join date_dimension as calendar on per_day.report_date = calendar.date
where per_day.location_code = 'US'
group by calendar.month_start
order by calendar.month_start;

-- First rows:
--  month_start | new_tests | new_cases | tests_per_case
-- -------------+-----------+-----------+----------------
--  2020-01-01  |         8 |         2 |            4.0
--  2020-02-01  |      6547 |        16 |          409.2
--  2020-03-01  |   1176993 |    196947 |            6.0
--  2020-04-01  |   5502666 |    876279 |            6.3
--  2020-05-01  |  11513568 |    718205 |           16.0
