-- Was California better or worse off than the nation, week by week?
-- The figures are new cases per 100,000 people in each MMWR week; with a ratio above 1 California was worse off.

select
    state.first_day,
    state.new_cases_per_100k as california,
    nation.new_cases_per_100k as nation,
    round(state.new_cases_per_100k / nullif(nation.new_cases_per_100k, 0), 2) as ratio
from mart.weekly as state
inner join mart.weekly as nation using (week_type, first_day)
where state.location_code = 'CA' and nation.location_code = 'US' and week_type = 'mmwr'
order by ratio desc nulls last, state.first_day asc;

-- First rows:
--  first_day  | california |  nation | ratio
-- ------------+------------+---------+-------
--  2020-12-20 |    673.777 | 398.590 |  1.69
--  2020-12-13 |    729.441 | 452.752 |  1.61
--  2020-12-27 |    695.569 | 434.203 |  1.60
--  2020-08-09 |    172.851 | 111.298 |  1.55
--  2021-01-10 |    710.143 | 470.582 |  1.51
