-- In how many days did the nation's cases double, in the spring of 2020?
-- The days follow from the growth over a week: 7 * ln(2) / ln(total / total a week before). Early growth is also growth of
-- testing.

with
growth as (
    select
        report_date,
        total_cases,
        first_value(total_cases) over (
            order by report_date range between interval '7 days' preceding and interval '7 days' preceding
        ) as week_before
    from mart.daily_summary
    where location_code = 'US'
)

select
    report_date,
    week_before,
    total_cases,
    round(7 * ln(2.0) / ln(total_cases / week_before::numeric), 1) as doubling_days
from growth
where
    extract(isodow from report_date) = 7
    and report_date between '2020-03-08' and '2020-05-31'
    and total_cases > week_before
    and week_before > 0
order by report_date;

-- First rows:
--  report_date | week_before | total_cases | doubling_days
-- -------------+-------------+-------------+---------------
--  2020-03-08  |          42 |         757 |           1.7
--  2020-03-15  |         757 |        5738 |           2.4
--  2020-03-22  |        5738 |       39808 |           2.5
--  2020-03-29  |       39808 |      150826 |           3.6
--  2020-04-05  |      150826 |      342104 |           5.9
