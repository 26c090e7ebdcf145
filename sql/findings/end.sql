-- Findings that a later load was without.
update ops.finding
set ended_at = %(known_at)s
where finding_id = any(%(ids)s);
