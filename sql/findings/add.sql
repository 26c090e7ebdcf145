-- A finding that is new.
insert into ops.finding (
    check_name, location_id, report_date, measure, value, meaning, document_id, run_id, found_at
)
values (
    %(check_name)s, %(location_id)s, %(report_date)s, %(measure)s, %(value)s, %(meaning)s, %(document_id)s, %(run_id)s,
    %(known_at)s
);
