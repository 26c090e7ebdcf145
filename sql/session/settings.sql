-- The settings that a session relies on, whatever its role, its database or the server have set: only qualified names
-- and those of pg_catalog are found, values are written in one way, no policy hides a row in silence, and nothing waits
-- without end. The search path is set first, so that the names in the second statement are pg_catalog's.
set search_path = '';

select set_config(wanted.name, wanted.value, false)
from (
    values
    ('DateStyle', 'ISO, YMD'),
    ('IntervalStyle', 'postgres'),
    ('TimeZone', 'UTC'),
    ('bytea_output', 'hex'),
    ('extra_float_digits', '1'),
    ('quote_all_identifiers', 'off'),
    ('row_security', 'off'),
    ('client_min_messages', 'notice'),
    ('default_transaction_isolation', 'read committed'),
    ('default_transaction_deferrable', 'off'),
    ('lock_timeout', '5s'),
    ('statement_timeout', '1h'),
    ('idle_in_transaction_session_timeout', '1h'),
    ('idle_session_timeout', '0'),
    -- Servers before version 17 do not have this one.
    ('transaction_timeout', '0')
) as wanted (name, value)
where
    exists (
        select from pg_settings as known
        where known.name = wanted.name
    );
