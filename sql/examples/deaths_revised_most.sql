-- In which states were the deaths of most days revised, and by how much?
-- A day counts if its total of deaths changed after it was published first; spread is the highest value minus the lowest.

select
    location_code,
    count(*) filter (where n_revisions > 0) as days_revised,
    count(*) as days,
    max(n_revisions) as most_revisions_of_a_day,
    max(spread) as largest_spread,
    round(100 * avg(rel_spread), 1) as mean_spread_percent
from mart.revision_summary
where measure = 'total_deaths' and location_code <> 'US'
group by location_code
order by days_revised desc, location_code asc
limit 20;

-- First rows, with the past:
--  location_code | days_revised | days | most_revisions_of_a_day | largest_spread | mean_spread_percent
-- ---------------+--------------+------+-------------------------+----------------+---------------------
--  CO            |          265 |  360 |                       3 |            754 |                 7.5
--  OR            |          254 |  355 |                       2 |             53 |                 1.7
--  NJ            |          234 |  392 |                       7 |           1843 |                13.6
--  NM            |          223 |  349 |                       2 |             23 |                 1.8
--  ND            |          213 |  360 |                       2 |            241 |                12.4
--  NV            |           97 |  368 |                       2 |             39 |                 4.8
--  NH            |           94 |  350 |                       1 |             19 |                 1.3
