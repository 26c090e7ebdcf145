-- The findings that stand.
select
    finding_id,
    location_id,
    check_name,
    measure,
    report_date,
    value
from ops.finding
where ended_at is null
order by finding_id;
