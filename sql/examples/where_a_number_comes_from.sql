-- From which document does a figure come: the deaths in California as of 2 January 2021?
-- A fact's known_from is the known_at of the load that wrote it (when the warehouse learned it; not shown here, since it
-- is another time in each warehouse). sha256 is that of the file as the source sent it, of a .gz file once it is
-- decompressed; ops.document keeps its bytes.

select
    deaths.total_deaths,
    load.source,
    load.address,
    load.run_id,
    load.build_time,
    document.size_bytes,
    left(document.sha256, 16) as sha256_begins
from death_fact as deaths
inner join location_dimension as location using (location_id)
inner join ops.document_load as load on deaths.known_from = load.known_at
inner join ops.document as document using (document_id)
where location.location_code = 'CA' and deaths.report_date = '2021-01-02';

-- First rows:
--  total_deaths | source   | address              | run_id | build_time                 | size_bytes | sha256_begins
-- --------------+----------+----------------------+--------+----------------------------+------------+------------------
--         26357 | snapshot | states/ca/daily.json |      1 | 2021-05-03 21:29:24.131+00 |    1818524 | 5819c46399d87e99
