-- Where was the share of positive PCR tests highest in the week to 8 January 2021?
-- The states are those that count specimens, both positive and in all. A share of people would be higher for the same
-- epidemic.

select
    location_code,
    name,
    pcr_specimens_positive_7d as positive_7d,
    pcr_specimens_total_7d as tests_7d,
    pcr_specimens_positivity_percent_7d as positive_percent_7d
from mart.positivity
where report_date = '2021-01-08' and pcr_specimens_positivity_percent_7d is not null
order by positive_percent_7d desc, location_code asc;

-- First rows:
--  location_code |      name      | positive_7d | tests_7d | positive_percent_7d
-- ---------------+----------------+-------------+----------+---------------------
--  UT            | Utah           |       21277 |   104063 |               20.45
--  TN            | Tennessee      |       36656 |   181753 |               20.17
--  TX            | Texas          |      137205 |   683953 |               20.06
--  OK            | Oklahoma       |       21054 |   107900 |               19.51
--  FL            | Florida        |      156910 |   811211 |               19.34
