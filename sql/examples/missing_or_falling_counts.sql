-- Which counts need a second look: falling totals, figures that went missing, days without a report?

select
    location_code,
    name,
    count(*) filter (where finding like 'falling total of %') as falling_totals,
    count(*) filter (where finding = 'figures that went missing') as missing_figures,
    count(*) filter (where finding = 'missing days') as missing_days,
    max(report_date) as last_finding
from mart.data_quality
where finding like 'falling total of %' or finding in ('figures that went missing', 'missing days')
group by location_code, name
order by count(*) desc, location_code asc;

-- First rows:
--  location_code | name        | falling_totals | missing_figures | missing_days | last_finding
-- ---------------+-------------+----------------+-----------------+--------------+--------------
--  WA            | Washington  |             12 |               1 |            0 | 2021-02-03
--  NE            | Nebraska    |              9 |               3 |            0 | 2021-01-30
--  GU            | Guam        |              1 |               9 |            0 | 2020-08-09
--  MO            | Missouri    |              7 |               2 |            0 | 2021-02-28
--  PR            | Puerto Rico |              8 |               1 |            0 | 2020-05-24
