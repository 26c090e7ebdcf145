-- Which numbers of cases and deaths were revised the most?
-- The kind says whether the source revised a number or withdrew the day (no new value), or whether another source was
-- loaded (source_changed).

select
    location_code,
    report_date,
    measure,
    old_value,
    new_value,
    new_value - old_value as difference,
    kind
from mart.revision_history
where measure in ('total_cases', 'total_deaths')
order by abs(new_value - old_value) desc nulls last, location_code asc, report_date asc, measure asc
limit 20;

-- First rows, with the past:
--  location_code | report_date | measure     | old_value | new_value | difference | kind
-- ---------------+-------------+-------------+-----------+-----------+------------+---------
--  GA            | 2021-01-29  | total_cases |    741991 |    899515 |     157524 | revised
--  GA            | 2021-01-28  | total_cases |    737205 |    892957 |     155752 | revised
--  US            | 2021-01-28  | total_cases |  25385892 |  25541644 |     155752 | revised
--  GA            | 2021-01-27  | total_cases |    731826 |    885605 |     153779 | revised
