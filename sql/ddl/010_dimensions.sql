-- The dimensions that do not come from reports: days, locations, kinds of test.

create table public.date_dimension (
    date date primary key check (date between date '2020-01-01' and date '2029-12-31'),
    year smallint not null,
    month smallint not null,
    day_of_month smallint not null,
    month_start date not null,
    iso_year smallint not null,
    iso_week smallint not null,
    iso_weekday smallint not null,
    mmwr_year smallint not null,
    mmwr_week smallint not null,
    weekday_name text not null,
    is_weekend boolean not null,
    federal_holiday text
);
comment on table public.date_dimension is 'One row per day from 2020-01-01 to 2029-12-31: the calendar for grouping and for finding gaps.';
comment on column public.date_dimension.date is 'The day. Reporting days are the source''s own labels, never shifted by time zones.';
comment on column public.date_dimension.year is 'Calendar year.';
comment on column public.date_dimension.month is 'Calendar month, 1 to 12.';
comment on column public.date_dimension.day_of_month is 'Day of the month, 1 to 31.';
comment on column public.date_dimension.month_start is 'First day of the month, for grouping by month across years.';
comment on column public.date_dimension.iso_year is 'Year of the ISO 8601 week.';
comment on column public.date_dimension.iso_week is 'ISO 8601 week, 1 to 53, Monday to Sunday.';
comment on column public.date_dimension.iso_weekday is 'ISO 8601 day of the week, Monday 1 to Sunday 7.';
comment on column public.date_dimension.mmwr_year is 'Year of the MMWR week (CDC).';
comment on column public.date_dimension.mmwr_week is 'MMWR epidemiological week of the CDC, 1 to 53, Sunday to Saturday; week 1 has at least four days in its year.';
comment on column public.date_dimension.weekday_name is 'English name of the day of the week.';
comment on column public.date_dimension.is_weekend is 'Whether the day is a Saturday or a Sunday; reporting was thinner then.';
comment on column public.date_dimension.federal_holiday is 'Name of the US federal holiday on its legal date (5 U.S.C. 6103), not the substitute day; null on other days.';

insert into public.date_dimension
select
    day.date,
    extract(year from day.date),
    extract(month from day.date),
    extract(day from day.date),
    date_trunc('month', day.date)::date,
    extract(isoyear from day.date),
    extract(week from day.date),
    extract(isodow from day.date),
    extract(year from mmwr.middle),
    (extract(doy from mmwr.middle)::int - 1) / 7 + 1,
    trim(to_char(day.date, 'Day')),
    extract(isodow from day.date) > 5,
    holiday.name
from
    (
        select series::date as date
        from generate_series(timestamp '2020-01-01', timestamp '2029-12-31', interval '1 day') as series
    ) as day
cross join
    lateral (
        -- The year of a week from Sunday to Saturday is the year of its Wednesday, which has most of its days.
        select day.date - extract(dow from day.date)::int + 3 as middle
    ) as mmwr
cross join
    lateral (
        select
            extract(month from day.date)::int as month,
            extract(day from day.date)::int as day_of_month,
            extract(isodow from day.date)::int as weekday,
            (extract(day from day.date)::int - 1) / 7 + 1 as nth,
            extract(month from day.date + 7) <> extract(month from day.date) as is_last
    ) as part
left join lateral (
    select case
        when part.month = 1 and part.day_of_month = 1 then 'New Year''s Day'
        when part.month = 1 and part.weekday = 1 and part.nth = 3 then 'Birthday of Martin Luther King, Jr.'
        when part.month = 2 and part.weekday = 1 and part.nth = 3 then 'Washington''s Birthday'
        when part.month = 5 and part.weekday = 1 and part.is_last then 'Memorial Day'
        -- A federal holiday since the act of 17 June 2021.
        when part.month = 6 and part.day_of_month = 19 and day.date >= date '2021-06-17' then 'Juneteenth National Independence Day'
        when part.month = 7 and part.day_of_month = 4 then 'Independence Day'
        when part.month = 9 and part.weekday = 1 and part.nth = 1 then 'Labor Day'
        when part.month = 10 and part.weekday = 1 and part.nth = 2 then 'Columbus Day'
        when part.month = 11 and part.day_of_month = 11 then 'Veterans Day'
        when part.month = 11 and part.weekday = 4 and part.nth = 4 then 'Thanksgiving Day'
        when part.month = 12 and part.day_of_month = 25 then 'Christmas Day'
    end as name
) as holiday on true
order by day.date;

create table public.location_dimension (
    location_id smallint primary key,
    location_code text not null unique check (location_code ~ '^[A-Z]{2}$'),
    name text not null,
    location_type text not null check (location_type in ('nation', 'state', 'territory')),
    fips text not null unique check (fips ~ '^[0-9]{2}$'),
    census_region text check (census_region in ('Northeast', 'Midwest', 'South', 'West')),
    census_division text check (
        census_division in (
            'New England', 'Middle Atlantic', 'East North Central', 'West North Central', 'South Atlantic',
            'East South Central', 'West South Central', 'Mountain', 'Pacific'
        )
    ),
    population bigint check (population > 0),
    sites jsonb not null default '[]'::jsonb
);
comment on table public.location_dimension is 'One row per location that reports: the nation, 50 states and the District of Columbia, 5 territories.';
comment on column public.location_dimension.location_id is 'FIPS code as a number; the nation is 0.';
comment on column public.location_dimension.location_code is 'Postal code in upper case, for example CA; the nation is US.';
comment on column public.location_dimension.name is 'English name.';
comment on column public.location_dimension.location_type is 'nation, state or territory; the District of Columbia counts as a state, as in the source.';
comment on column public.location_dimension.fips is 'FIPS code with its leading zero, for example 06; the nation is 00.';
comment on column public.location_dimension.census_region is 'Region: Northeast, Midwest, South or West (U.S. Census Bureau, Census Regions and Divisions); null for the nation and the territories.';
comment on column public.location_dimension.census_division is 'Division, one of nine, each within one region (U.S. Census Bureau, Census Regions and Divisions); null for the nation and the territories.';
comment on column public.location_dimension.population is 'Inhabitants by the 2019 census estimates, by which the source divides. The nation has more than the sum of the 56.';
comment on column public.location_dimension.sites is 'Web sites that the source read, an array of {url, label}; empty for the nation, and until states.json is loaded.';

-- Names and populations are the last that the source published; a load without dates brings them up to date.
insert into public.location_dimension (location_id, location_code, name, location_type, fips, census_region, census_division, population)
values
(0, 'US', 'United States', 'nation', '00', null, null, 330792917),
(1, 'AL', 'Alabama', 'state', '01', 'South', 'East South Central', 4876250),
(2, 'AK', 'Alaska', 'state', '02', 'West', 'Pacific', 737068),
(4, 'AZ', 'Arizona', 'state', '04', 'West', 'Mountain', 7050299),
(5, 'AR', 'Arkansas', 'state', '05', 'South', 'West South Central', 2999370),
(6, 'CA', 'California', 'state', '06', 'West', 'Pacific', 39283497),
(8, 'CO', 'Colorado', 'state', '08', 'West', 'Mountain', 5610349),
(9, 'CT', 'Connecticut', 'state', '09', 'Northeast', 'New England', 3575074),
(10, 'DE', 'Delaware', 'state', '10', 'South', 'South Atlantic', 957248),
(11, 'DC', 'District of Columbia', 'state', '11', 'South', 'South Atlantic', 692683),
(12, 'FL', 'Florida', 'state', '12', 'South', 'South Atlantic', 20901636),
(13, 'GA', 'Georgia', 'state', '13', 'South', 'South Atlantic', 10403847),
(15, 'HI', 'Hawaii', 'state', '15', 'West', 'Pacific', 1422094),
(16, 'ID', 'Idaho', 'state', '16', 'West', 'Mountain', 1717750),
(17, 'IL', 'Illinois', 'state', '17', 'Midwest', 'East North Central', 12770631),
(18, 'IN', 'Indiana', 'state', '18', 'Midwest', 'East North Central', 6665703),
(19, 'IA', 'Iowa', 'state', '19', 'Midwest', 'West North Central', 3139508),
(20, 'KS', 'Kansas', 'state', '20', 'Midwest', 'West North Central', 2910652),
(21, 'KY', 'Kentucky', 'state', '21', 'South', 'East South Central', 4449052),
(22, 'LA', 'Louisiana', 'state', '22', 'South', 'West South Central', 4664362),
(23, 'ME', 'Maine', 'state', '23', 'Northeast', 'New England', 1335492),
(24, 'MD', 'Maryland', 'state', '24', 'South', 'South Atlantic', 6018848),
(25, 'MA', 'Massachusetts', 'state', '25', 'Northeast', 'New England', 6850553),
(26, 'MI', 'Michigan', 'state', '26', 'Midwest', 'East North Central', 9965265),
(27, 'MN', 'Minnesota', 'state', '27', 'Midwest', 'West North Central', 5563378),
(28, 'MS', 'Mississippi', 'state', '28', 'South', 'East South Central', 2984418),
(29, 'MO', 'Missouri', 'state', '29', 'Midwest', 'West North Central', 6104910),
(30, 'MT', 'Montana', 'state', '30', 'West', 'Mountain', 1050649),
(31, 'NE', 'Nebraska', 'state', '31', 'Midwest', 'West North Central', 1914571),
(32, 'NV', 'Nevada', 'state', '32', 'West', 'Mountain', 2972382),
(33, 'NH', 'New Hampshire', 'state', '33', 'Northeast', 'New England', 1348124),
(34, 'NJ', 'New Jersey', 'state', '34', 'Northeast', 'Middle Atlantic', 8878503),
(35, 'NM', 'New Mexico', 'state', '35', 'West', 'Mountain', 2092454),
(36, 'NY', 'New York', 'state', '36', 'Northeast', 'Middle Atlantic', 19572319),
(37, 'NC', 'North Carolina', 'state', '37', 'South', 'South Atlantic', 10264876),
(38, 'ND', 'North Dakota', 'state', '38', 'Midwest', 'West North Central', 756717),
(39, 'OH', 'Ohio', 'state', '39', 'Midwest', 'East North Central', 11655397),
(40, 'OK', 'Oklahoma', 'state', '40', 'South', 'West South Central', 3932870),
(41, 'OR', 'Oregon', 'state', '41', 'West', 'Pacific', 4129803),
(42, 'PA', 'Pennsylvania', 'state', '42', 'Northeast', 'Middle Atlantic', 12791530),
(44, 'RI', 'Rhode Island', 'state', '44', 'Northeast', 'New England', 1057231),
(45, 'SC', 'South Carolina', 'state', '45', 'South', 'South Atlantic', 5020806),
(46, 'SD', 'South Dakota', 'state', '46', 'Midwest', 'West North Central', 870638),
(47, 'TN', 'Tennessee', 'state', '47', 'South', 'East South Central', 6709356),
(48, 'TX', 'Texas', 'state', '48', 'South', 'West South Central', 28260856),
(49, 'UT', 'Utah', 'state', '49', 'West', 'Mountain', 3096848),
(50, 'VT', 'Vermont', 'state', '50', 'Northeast', 'New England', 624313),
(51, 'VA', 'Virginia', 'state', '51', 'South', 'South Atlantic', 8454463),
(53, 'WA', 'Washington', 'state', '53', 'West', 'Pacific', 7404107),
(54, 'WV', 'West Virginia', 'state', '54', 'South', 'South Atlantic', 1817305),
(55, 'WI', 'Wisconsin', 'state', '55', 'Midwest', 'East North Central', 5790716),
(56, 'WY', 'Wyoming', 'state', '56', 'West', 'Mountain', 581024),
(60, 'AS', 'American Samoa', 'territory', '60', null, null, 55191),
(66, 'GU', 'Guam', 'territory', '66', null, null, 168775),
(69, 'MP', 'Northern Mariana Islands', 'territory', '69', null, null, 57559),
(72, 'PR', 'Puerto Rico', 'territory', '72', null, null, 3318447),
(78, 'VI', 'US Virgin Islands', 'territory', '78', null, null, 104425);

create table public.test_dimension (
    test_id smallint primary key,
    test_type text not null check (test_type in ('pcr', 'antibody', 'antigen')),
    unit text not null check (unit in ('encounters', 'specimens', 'people')),
    result text not null check (result in ('total', 'positive', 'negative')),
    unique (test_type, unit, result)
);
comment on table public.test_dimension is 'One row per kind of test that states publish by itself. Never add up figures of different units.';
comment on column public.test_dimension.test_id is 'Number of the kind, fixed.';
comment on column public.test_dimension.test_type is 'Test: pcr (viral), antibody or antigen.';
comment on column public.test_dimension.unit is 'Unit that is counted: encounters (a person once a day), specimens (every sample) or people (each once).';
comment on column public.test_dimension.result is 'Results that are counted: total, positive or negative.';

insert into public.test_dimension (test_id, test_type, unit, result)
values
(1, 'pcr', 'encounters', 'total'),
(2, 'pcr', 'specimens', 'total'),
(3, 'pcr', 'specimens', 'positive'),
(4, 'pcr', 'specimens', 'negative'),
(5, 'pcr', 'people', 'total'),
(6, 'pcr', 'people', 'positive'),
(7, 'pcr', 'people', 'negative'),
(8, 'antibody', 'encounters', 'total'),
(9, 'antibody', 'encounters', 'positive'),
(10, 'antibody', 'encounters', 'negative'),
(11, 'antibody', 'people', 'total'),
(12, 'antibody', 'people', 'positive'),
(13, 'antibody', 'people', 'negative'),
(14, 'antigen', 'encounters', 'total'),
(15, 'antigen', 'encounters', 'positive'),
(16, 'antigen', 'encounters', 'negative'),
(17, 'antigen', 'people', 'total'),
(18, 'antigen', 'people', 'positive'),
(19, 'antigen', 'people', 'negative');

create table public.field_definitions_dimension (
    field_definition_id integer generated always as identity primary key,
    endpoint_kind text not null check (endpoint_kind in ('nation', 'state')),
    name text not null,
    path text,
    deprecated boolean not null,
    prior_names text[] not null,
    feeds_column text,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    build_time timestamptz not null,
    location_code text not null,
    document_id bigint not null,
    is_current boolean not null default true,
    check (first_seen_at <= last_seen_at)
);
create unique index field_definitions_current on public.field_definitions_dimension (endpoint_kind, coalesce(path, name))
where is_current;
comment on table public.field_definitions_dimension is 'One row per version of a field definition, the source''s description of a field in its documents. A changed definition is a new row.';
comment on column public.field_definitions_dimension.field_definition_id is 'Number of the version; gaps are normal.';
comment on column public.field_definitions_dimension.endpoint_kind is 'Kind of the documents that carry the definition: nation or state.';
comment on column public.field_definitions_dimension.name is 'Title of the field.';
comment on column public.field_definitions_dimension.path is 'Path of the field in the definition, which is not always its path in the data; null where the source gives none.';
comment on column public.field_definitions_dimension.deprecated is 'Whether the source calls the field deprecated.';
comment on column public.field_definitions_dimension.prior_names is 'Earlier names of the field, also in other versions of the API.';
comment on column public.field_definitions_dimension.feeds_column is 'Table and column that the field feeds, after aliases; null if it feeds none.';
comment on column public.field_definitions_dimension.first_seen_at is 'When the warehouse first saw this version (UTC instant).';
comment on column public.field_definitions_dimension.last_seen_at is 'When the warehouse last took a document with this version, once per run, or found the version changed or gone (UTC instant).';
comment on column public.field_definitions_dimension.build_time is 'Newest build time of a document with this version (UTC instant).';
comment on column public.field_definitions_dimension.location_code is 'Code of the location whose document was the last to show this version. Only documents of this location, or newer ones, can change it.';
comment on column public.field_definitions_dimension.document_id is 'Content that brought this version: ops.document.document_id.';
comment on column public.field_definitions_dimension.is_current is 'Whether the source publishes this version now.';
