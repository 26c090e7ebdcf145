-- Which figures of California that were believed on 1 July 2020 are others now?
-- Another day may stand in place of this one, and so may any instant, such as the known_at of a load.
select
    report_date,
    believed.total_cases as cases_then,
    current.total_cases as cases_now,
    believed.total_deaths as deaths_then,
    current.total_deaths as deaths_now
from mart.daily_summary_as_of(mart.vintage_of('2020-07-01')) as believed
full join mart.daily_summary as current using (location_code, report_date)
where
    location_code = 'CA'
    and report_date <= '2020-07-01'
    and (believed.total_cases, believed.total_deaths) is distinct from (current.total_cases, current.total_deaths)
order by report_date desc;

-- First rows, with the past:
--  report_date | cases_then | cases_now | deaths_then | deaths_now
-- -------------+------------+-----------+-------------+------------
--  2020-07-01  |     232657 |    236139 |        6090 |       6090
--  2020-06-30  |     222917 |    228732 |        5980 |       5980
--  2020-06-29  |     216550 |    219252 |        5936 |       5936
