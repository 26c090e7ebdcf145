-- Which were the largest typing errors that were ever published, and when were they mended?
-- A date and time without separators became a count: 123018990000 is 12/30/1899 00:00, the day 0 of a spreadsheet.

with step as (
    select
        *,
        lead(version) over steps as mended,
        lead(value) over steps as value_then
    from mart.archive
    window steps as (partition by geo_value, time_value, measure order by version)
)

select
    upper(geo_value) as location_code,
    measure,
    count(*) as days,
    max(value) as value,
    min(version) as published,
    max(mended) as mended,
    max(value_then) as highest_value_then
from step
where value > 1000000000
group by geo_value, measure
order by value desc, location_code asc, measure asc;

-- First rows, with the past:
--  location_code |       measure        | days |    value     |       published        |         mended         | highest_value_then
-- ---------------+----------------------+------+--------------+------------------------+------------------------+--------------------
--  MN            | pcr_encounters_total |   22 | 123119380000 | 2020-09-18 23:02:57+00 | 2020-09-22 03:02:59+00 |              14245
--  ND            | pcr_encounters_total |   18 | 123119020000 | 2020-09-18 23:02:57+00 | 2020-09-22 03:02:59+00 |               2549
--  WA            | pcr_encounters_total |   66 | 123018990000 | 2020-09-18 23:02:57+00 | 2020-09-22 03:02:59+00 |              73297
--  VA            | pcr_encounters_total |   30 | 122319220000 | 2020-09-18 23:02:57+00 | 2020-09-22 03:02:59+00 |              14778
--  RI            | pcr_encounters_total |   27 | 121819050000 | 2020-08-19 05:19:56+00 | 2020-09-22 03:02:59+00 |               2603
--  CO            | pcr_encounters_total |   16 | 121519110000 | 2020-09-18 23:02:57+00 | 2020-09-22 03:02:59+00 |              10911
--  DC            | pcr_encounters_total |   23 | 112019020000 | 2020-09-18 23:02:57+00 | 2020-09-22 03:02:59+00 |               2164
