-- The doubtful figures among those published, the newest day first.
select
    finding as "check",
    location_code as code,
    name,
    report_date,
    measure,
    value,
    compared_with,
    data_quality_grade as grade
from mart.data_quality
order by report_date desc, name asc, finding asc, measure asc;
