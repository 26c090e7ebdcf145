-- From which document does a figure come: the deaths in California as of 2 January 2021?
-- sha256 is that of the file as the source sent it; ops.document keeps its bytes.

select
    summary.location_code,
    summary.report_date,
    summary.total_deaths,
    report.source_built_at,
    document.size_bytes,
    left(document.sha256, 16) as sha256_begins
from mart.daily_summary as summary
inner join cases_dimension as report using (cases_id)
inner join ops.document as document using (document_id)
where summary.location_code = 'CA' and summary.report_date = '2021-01-02';

-- First rows:
--  location_code | report_date | total_deaths | source_built_at            | size_bytes | sha256_begins
-- ---------------+-------------+--------------+----------------------------+------------+------------------
--  CA            | 2021-01-02  |        26357 | 2021-05-03 21:29:24.131+00 |    1815860 | cefe9a24d7a501fa
