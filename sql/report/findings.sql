-- What is doubtful about published figures, the newest day first.
select
    finding,
    location_code,
    name,
    report_date,
    measure,
    value,
    compared_with,
    data_quality_grade
from mart.data_quality
order by report_date desc, name asc, finding asc, measure asc;
