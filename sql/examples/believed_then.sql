-- How do the figures of California that are believed now differ from those of its first load?
-- Any instant may stand in place of the first load's, for example now() - interval '30 days'.
-- A database that was loaded once has no rows here: nothing has changed since its first load.

with
place as (
    select
        location_id,
        location_code
    from location_dimension
    where location_code = 'CA'
),

first_load as (
    select min(load.known_at) as known_at
    from ops.document_load as load
    inner join place using (location_id)
    where load.outcome = 'loaded'
)

select
    report_date,
    believed.total_cases as cases_then,
    current.total_cases as cases_now,
    believed.total_deaths as deaths_then,
    current.total_deaths as deaths_now
from first_load
cross join mart.daily_summary_as_of(first_load.known_at) as believed
full join mart.daily_summary as current using (location_code, report_date)
where
    location_code = (select place.location_code from place)
    and (believed.total_cases, believed.total_deaths) is distinct from (current.total_cases, current.total_deaths)
order by report_date desc;

-- First rows, with the revisions of tests/integration/test_examples.py:
--  report_date | cases_then | cases_now | deaths_then | deaths_now
-- -------------+------------+-----------+-------------+------------
--  2021-03-07  |    3501394 |    (null) |       54124 |     (null)
--  2021-02-24  |    3455361 |   3446001 |       49877 |      49877
--  2021-01-15  |    2859624 |   2860000 |       32291 |      32500
