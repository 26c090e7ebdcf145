-- Which numbers of cases and deaths were revised the most?
-- The shipped past has revisions; a database that was loaded once, and without it, has none. The kind says whether the
-- source revised a number or withdrew the day (no new value), or whether another source was loaded (source_changed).

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

-- First rows, with the revisions of tests/integration/test_examples.py:
--  location_code | report_date | measure      | old_value | new_value | difference | kind
-- ---------------+-------------+--------------+-----------+-----------+------------+---------
--  CA            | 2021-02-24  | total_cases  |   3455361 |   3446001 |      -9360 | revised
--  CA            | 2021-01-15  | total_cases  |   2859624 |   2860000 |        376 | revised
--  CA            | 2021-01-15  | total_deaths |     32291 |     32500 |        209 | revised
--  VT            | 2020-12-01  | total_cases  |      4365 |      4190 |       -175 | revised
--  VT            | 2020-12-02  | total_cases  |      4466 |      4300 |       -166 | revised
--  VT            | 2020-12-02  | total_deaths |        74 |        70 |         -4 | revised
