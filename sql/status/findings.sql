-- The findings that stand, in groups: what a check has found of a measure in a location.
select
    location.location_code,
    finding.check_name,
    finding.measure,
    count(*) as findings,
    min(finding.report_date)::text as first_day,
    max(finding.report_date)::text as last_day,
    max(finding.meaning) as meaning
from ops.finding as finding
inner join location_dimension as location using (location_id)
where finding.ended_at is null
group by location.location_code, finding.check_name, finding.measure
order by location.location_code, finding.check_name, finding.measure;
