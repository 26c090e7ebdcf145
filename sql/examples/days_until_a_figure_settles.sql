-- After how many days did the figures of the states settle within 1 percent of the last ones?
-- The last two columns are the days after which half of the figures, and nine in ten, had settled. The days before
-- April 2020 are left out: most columns began later.

select
    measure,
    count(*) as days,
    round(100.0 * count(*) filter (where n_revisions > 0) / count(*), 1) as revised_percent,
    percentile_disc(0.5) within group (order by lag_near_latest) as half_settled_after,
    percentile_disc(0.9) within group (order by lag_near_latest) as nine_in_ten_settled_after
from mart.revision_summary
where
    measure in ('total_cases', 'total_deaths', 'currently_hospitalized')
    and location_code <> 'US'
    and report_date >= '2020-04-01'
group by measure
order by measure;

-- First rows, with the past:
--         measure         | days  | revised_percent | half_settled_after | nine_in_ten_settled_after
-- ------------------------+-------+-----------------+--------------------+---------------------------
--  currently_hospitalized | 17217 |             7.8 |                  1 |                         8
--  total_cases            | 19096 |            16.4 |                  1 |                        18
--  total_deaths           | 19092 |             8.7 |                  1 |                         7
