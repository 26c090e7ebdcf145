-- When did each state's winter wave peak, and how high?
-- The peak is that of the 7-day mean per 100,000 people, so that neither weekends nor sizes decide.

with
ranked as (
    select
        location_code,
        name,
        report_date,
        new_cases_7d_mean_per_100k,
        row_number() over (
            partition by location_code order by new_cases_7d_mean_per_100k desc nulls last, report_date asc
        ) as place
    from mart.rolling_7d
    where location_type = 'state' and report_date between '2020-10-01' and '2021-02-28'
)

select
    location_code,
    name,
    report_date as peak_date,
    new_cases_7d_mean_per_100k as peak_per_100k
from ranked
where place = 1
order by peak_per_100k desc, location_code asc;

-- First rows:
--  location_code | name         | peak_date  | peak_per_100k
-- ---------------+--------------+------------+---------------
--  ND            | North Dakota | 2020-11-18 |       191.957
--  SD            | South Dakota | 2020-11-14 |       167.463
--  WY            | Wyoming      | 2020-11-23 |       153.375
--  TN            | Tennessee    | 2020-12-18 |       143.486
--  AZ            | Arizona      | 2021-01-12 |       139.054
