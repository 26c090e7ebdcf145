-- What a path of ours is published as from now on (null: not at all); the last one added counts.
insert into ops.alias (endpoint_kind, path, published, location_code, drift_id)
values (%(endpoint_kind)s, %(path)s, %(published)s, %(location_code)s, %(drift_id)s);
