-- In which unit did each state count its total of tests on its last day?
-- Totals of different units must not be compared or added up.

select
    report.total_tests_source,
    count(*) as states,
    string_agg(location.location_code, ' ' order by location.location_code) as location_codes
from mart.latest
inner join cases_dimension as report using (cases_id)
inner join location_dimension as location on report.location_id = location.location_id
where location.location_type <> 'nation'
group by report.total_tests_source
order by states desc, report.total_tests_source asc;

-- First rows:
--  total_tests_source       | states | location_codes
-- --------------------------+--------+----------------------------------------------------------------------------------------
--  totalTestsViral          |     29 | AK AR AS AZ CA CT GA IL IN KY MA MD ME MI MO MT NC NE NH NM OH OR SD TN TX UT VT WV WY
--  totalTestEncountersViral |     14 | CO DC DE FL HI MN ND NV NY PA RI VA WA WI
--  posNeg                   |     11 | GU IA KS LA MP MS NJ OK PR SC VI
--  totalTestsPeopleViral    |      2 | AL ID
