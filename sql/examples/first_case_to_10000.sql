-- How long did it take from a state's first reported case to its 10,000th?
-- A state's first case is that of its first report with any; many series begin with cases.

with
milestone as (
    select
        location_code,
        name,
        min(report_date) filter (where total_cases >= 1) as first_case,
        min(report_date) filter (where total_cases >= 10000) as case_10000
    from mart.daily_summary
    where location_type <> 'nation'
    group by location_code, name
)

select
    location_code,
    name,
    first_case,
    case_10000,
    case_10000 - first_case as days
from milestone
-- Those that never had 10,000 come last, as null.
order by days nulls last, location_code;

-- First rows:
--  location_code | name         | first_case | case_10000 | days
-- ---------------+--------------+------------+------------+------
--  NY            | New York     | 2020-03-03 | 2020-03-21 |   18
--  MI            | Michigan     | 2020-03-01 | 2020-03-24 |   23
--  NJ            | New Jersey   | 2020-03-05 | 2020-03-28 |   23
--  LA            | Louisiana    | 2020-03-09 | 2020-04-03 |   25
--  PA            | Pennsylvania | 2020-03-06 | 2020-04-04 |   29
