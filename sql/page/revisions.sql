-- The biggest revisions of each published count, the largest first, and the number of revisions in all. The counts by
-- kind of test are left out; so are the shares, changes and averages that the source calculated from the counts.
with revision as (
    select
        location_code,
        report_date,
        measure,
        old_value,
        new_value,
        known_from,
        kind,
        new_value - old_value as difference,
        row_number() over (
            partition by measure
            order by
                abs(new_value - old_value) desc nulls last, location_code asc, report_date asc, known_from asc
        ) as place,
        count(*) over () as revised_numbers
    from mart.revision_history
    where fact <> 'testing_detail_fact' and measure !~ '_(population_percent|day|change_percent|average)$'
)

select
    location.name,
    revision.report_date,
    revision.measure,
    revision.old_value,
    revision.new_value,
    revision.difference,
    revision.known_from,
    revision.kind,
    revision.revised_numbers
from revision
inner join public.location_dimension as location on revision.location_code = location.location_code
where revision.place <= %(per_measure)s
order by revision.measure, revision.place;
