-- In which unit can each state's share of positive PCR tests be had?
-- A share needs positives and tests in one unit. States without one published positives as people, and tests as specimens or
-- encounters, or lacked one of the two: dividing these is no share.

with
share as (
    select
        location_code,
        concat_ws(
            ' and ',
            case when pcr_people_positivity_percent is not null then 'people' end,
            case when pcr_specimens_positivity_percent is not null then 'specimens' end
        ) as units
    from mart.positivity
    where report_date = '2020-12-15'
)

select
    coalesce(nullif(units, ''), '(none)') as share_of,
    count(*) as states,
    string_agg(location_code, ' ' order by location_code) as location_codes
from share
group by units
order by states desc, share_of asc;

-- First rows:
--        share_of       | states |                   location_codes
-- ----------------------+--------+----------------------------------------------------
--  (none)               |     17 | AR AS CA GU HI IL KY LA MS MT NC NJ NM NY VA WA WV
--  people               |     17 | AL AZ CO DC DE ID KS MN MP ND NH NV PA RI VI VT WI
--  specimens            |     12 | AK CT GA ME MI OH OK OR PR SC TN TX
--  people and specimens |     10 | FL IA IN MA MD MO NE SD UT WY
