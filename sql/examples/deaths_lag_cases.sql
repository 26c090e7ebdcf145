-- By how many days do reported deaths follow reported cases?
-- The correlation of the two 7-day means for each lag; its maximum is the lag at which the curves fit best.
-- The days are those from October 2020 on; earlier tests were too few for the curves to be compared.

with
nation as (
    select
        report_date,
        new_cases_7d_mean,
        new_deaths_7d_mean
    from mart.rolling_7d
    where location_code = 'US' and report_date >= '2020-08-15'
)

select
    lag.days as lag_days,
    round(corr(cases.new_cases_7d_mean, deaths.new_deaths_7d_mean)::numeric, 3) as correlation
from generate_series(0, 42, 2) as lag (days)
cross join nation as deaths
inner join nation as cases on deaths.report_date - lag.days = cases.report_date
where deaths.report_date >= '2020-10-01'
group by lag.days
order by correlation desc, lag.days asc;

-- First rows:
--  lag_days | correlation
-- ----------+-------------
--        26 |       0.972
--        24 |       0.970
--        28 |       0.967
--        22 |       0.963
--        30 |       0.955
