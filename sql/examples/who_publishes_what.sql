-- Which hospital figures did each location publish, and for how much of its time?
-- The figures are percents of a location's reports; count() counts values, and no nulls.

select
    location_code,
    name,
    count(*) as reports,
    round(count(currently_hospitalized) * 100.0 / count(*)) as percent_hospitalized,
    round(count(currently_in_icu) * 100.0 / count(*)) as percent_in_icu,
    round(count(currently_on_ventilator) * 100.0 / count(*)) as percent_on_ventilator
from mart.daily_summary
where location_type <> 'nation'
group by location_code, name
order by percent_hospitalized, percent_in_icu, percent_on_ventilator, location_code;

-- First rows:
--  location_code | name                     | reports | percent_hospitalized | percent_in_icu | percent_on_ventilator
-- ---------------+--------------------------+---------+----------------------+----------------+-----------------------
--  AS            | American Samoa           |     357 |                    0 |              0 |                     0
--  MP            | Northern Mariana Islands |     357 |                    0 |              0 |                     0
--  VI            | US Virgin Islands        |     357 |                    1 |              0 |                     0
--  FL            | Florida                  |     404 |                   60 |              0 |                     0
--  KS            | Kansas                   |     367 |                   62 |             64 |                    64
