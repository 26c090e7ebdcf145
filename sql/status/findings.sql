-- The standing findings in groups, one per location, check and measure.
select
    location.location_code as location,
    finding.check_name as "check",
    finding.measure,
    count(*) as findings,
    min(finding.report_date)::text as first_day,
    max(finding.report_date)::text as last_day,
    max(finding.meaning) as meaning
from ops.finding as finding
inner join public.location_dimension as location using (location_id)
where finding.ended_at is null
group by location.location_code, finding.check_name, finding.measure
order by location.location_code, finding.check_name, finding.measure;
