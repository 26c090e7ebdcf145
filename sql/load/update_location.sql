-- Brings the metadata of one location up to date, unless it is.
update public.location_dimension
set name = %(name)s, population = %(population)s, sites = %(sites)s
where
    location_code = %(location_code)s
    and (name, population, sites) is distinct from (%(name)s, %(population)s::bigint, %(sites)s::jsonb);
