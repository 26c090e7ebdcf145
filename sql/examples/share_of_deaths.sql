-- Which states had more than their share of the nation's deaths?
-- The ratio is the share of deaths over the share of people, among the 56 states and territories; 1 is exactly its share.

with
share as (
    select
        location_code,
        name,
        total_deaths,
        total_deaths / nullif(sum(total_deaths) over (), 0) as of_deaths,
        population / sum(population) over () as of_people
    from mart.latest
    where location_type <> 'nation'
)

select
    location_code,
    name,
    total_deaths,
    round(100 * of_deaths, 2) as percent_of_deaths,
    round(100 * of_people, 2) as percent_of_people,
    round(of_deaths / of_people, 2) as ratio
from share
order by ratio desc, location_code asc;

-- First rows:
--  location_code | name          | total_deaths | percent_of_deaths | percent_of_people | ratio
-- ---------------+---------------+--------------+-------------------+-------------------+-------
--  NJ            | New Jersey    |        23574 |              4.58 |              2.70 |  1.69
--  RI            | Rhode Island  |         2547 |              0.49 |              0.32 |  1.54
--  MA            | Massachusetts |        16417 |              3.19 |              2.09 |  1.53
--  AZ            | Arizona       |        16328 |              3.17 |              2.15 |  1.48
--  MS            | Mississippi   |         6808 |              1.32 |              0.91 |  1.45
