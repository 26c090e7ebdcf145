-- The vintages of the shipped past, for asking what was published on a day.

create view mart.vintage as
select
    series,
    known_at,
    previous_at,
    exactness,
    carried,
    origin,
    sha256
from ops.vintage;
comment on view mart.vintage is 'One row per vintage of the shipped past: all that was published of the nation, or of the states, at one time; none in a database that was loaded without the past.';
comment on column mart.vintage.series is 'nation or state.';
comment on column mart.vintage.known_at is 'When the vintage was known (UTC instant).';
comment on column mart.vintage.previous_at is 'known_at of the vintage before; null for the first.';
comment on column mart.vintage.exactness is 'commit: known_at is the time of a robot''s copy; bound: the latest time at which the copy can have been made.';
comment on column mart.vintage.carried is 'Tables and columns that the vintage had, with the number of a kind of test. It says nothing of others, which keep the values of the vintage before.';
comment on column mart.vintage.origin is 'Repository, path and commit of the copy.';
comment on column mart.vintage.sha256 is 'SHA-256 of the file of all changes of the series from which the past was made.';

-- A day that is written into a query becomes its instant once, when the query is planned. As `stable` the function would
-- be called for every row that an as-of function looks at, which takes a hundred times as long. Vintages never change.
-- noqa: disable=references.from
create function mart.vintage_of(evening date) returns timestamptz
language sql immutable parallel safe
begin atomic
    select max(known_at) as known_at
    from ops.vintage
    where known_at < (vintage_of.evening + 1 + time '10:00') at time zone 'UTC';
end;
-- noqa: enable=references.from
comment on function mart.vintage_of(date) is 'The time of the last vintage that a reader of that evening saw: before 10:00 UTC (5 or 6 in the morning in the US East) of the next day. For daily_summary_as_of(mart.vintage_of(''2020-07-01'')); null before the first vintage.';
