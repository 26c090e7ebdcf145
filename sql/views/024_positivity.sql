-- Shares of positive tests, each within one kind of test and one unit.

create view mart.positivity as
with
total as (
    select
        fact.location_id,
        fact.report_date,
        max(fact.value) filter (where test.test_type = 'pcr' and test.unit = 'people' and test.result = 'positive') as pcr_people_positive,
        max(fact.value) filter (where test.test_type = 'pcr' and test.unit = 'people' and test.result = 'total') as pcr_people_total,
        max(fact.value) filter (where test.test_type = 'pcr' and test.unit = 'specimens' and test.result = 'positive') as pcr_specimens_positive,
        max(fact.value) filter (where test.test_type = 'pcr' and test.unit = 'specimens' and test.result = 'total') as pcr_specimens_total,
        max(fact.value) filter (where test.test_type = 'antigen' and test.unit = 'people' and test.result = 'positive') as antigen_people_positive,
        max(fact.value) filter (where test.test_type = 'antigen' and test.unit = 'people' and test.result = 'total') as antigen_people_total,
        max(fact.value) filter (where test.test_type = 'antigen' and test.unit = 'encounters' and test.result = 'positive') as antigen_encounters_positive,
        max(fact.value) filter (where test.test_type = 'antigen' and test.unit = 'encounters' and test.result = 'total') as antigen_encounters_total,
        max(fact.value) filter (where test.test_type = 'antibody' and test.unit = 'people' and test.result = 'positive') as antibody_people_positive,
        max(fact.value) filter (where test.test_type = 'antibody' and test.unit = 'people' and test.result = 'total') as antibody_people_total,
        max(fact.value) filter (where test.test_type = 'antibody' and test.unit = 'encounters' and test.result = 'positive') as antibody_encounters_positive,
        max(fact.value) filter (where test.test_type = 'antibody' and test.unit = 'encounters' and test.result = 'total') as antibody_encounters_total
    from public.testing_detail_fact as fact
    inner join public.test_dimension as test using (test_id)
    where test.result in ('positive', 'total')
    group by fact.location_id, fact.report_date
),

week as (
    select
        location_id,
        report_date,
        -- The frame is the one day a week before: empty, and so null, where that day has no report.
        pcr_people_positive,
        pcr_people_positive - first_value(pcr_people_positive) over week_before as pcr_people_positive_7d,
        pcr_people_total,
        pcr_people_total - first_value(pcr_people_total) over week_before as pcr_people_total_7d,
        pcr_specimens_positive,
        pcr_specimens_positive - first_value(pcr_specimens_positive) over week_before as pcr_specimens_positive_7d,
        pcr_specimens_total,
        pcr_specimens_total - first_value(pcr_specimens_total) over week_before as pcr_specimens_total_7d,
        antigen_people_positive,
        antigen_people_positive - first_value(antigen_people_positive) over week_before as antigen_people_positive_7d,
        antigen_people_total,
        antigen_people_total - first_value(antigen_people_total) over week_before as antigen_people_total_7d,
        antigen_encounters_positive,
        antigen_encounters_positive - first_value(antigen_encounters_positive) over week_before as antigen_encounters_positive_7d,
        antigen_encounters_total,
        antigen_encounters_total - first_value(antigen_encounters_total) over week_before as antigen_encounters_total_7d,
        antibody_people_positive,
        antibody_people_positive - first_value(antibody_people_positive) over week_before as antibody_people_positive_7d,
        antibody_people_total,
        antibody_people_total - first_value(antibody_people_total) over week_before as antibody_people_total_7d,
        antibody_encounters_positive,
        antibody_encounters_positive - first_value(antibody_encounters_positive) over week_before as antibody_encounters_positive_7d,
        antibody_encounters_total,
        antibody_encounters_total - first_value(antibody_encounters_total) over week_before as antibody_encounters_total_7d
    from total
    window week_before as (
        partition by location_id order by report_date
        range between interval '7 days' preceding and interval '7 days' preceding
    )
)

select
    location.location_code,
    location.name,
    location.location_type,
    week.report_date,
    week.pcr_people_positive,
    week.pcr_people_total,
    round(week.pcr_people_positive * 100.0 / nullif(week.pcr_people_total, 0), 2) as pcr_people_positivity_percent,
    week.pcr_people_positive_7d,
    week.pcr_people_total_7d,
    case when week.pcr_people_positive_7d >= 0 and week.pcr_people_total_7d > 0 then round(week.pcr_people_positive_7d * 100.0 / week.pcr_people_total_7d, 2) end as pcr_people_positivity_percent_7d,
    week.pcr_specimens_positive,
    week.pcr_specimens_total,
    round(week.pcr_specimens_positive * 100.0 / nullif(week.pcr_specimens_total, 0), 2) as pcr_specimens_positivity_percent,
    week.pcr_specimens_positive_7d,
    week.pcr_specimens_total_7d,
    case when week.pcr_specimens_positive_7d >= 0 and week.pcr_specimens_total_7d > 0 then round(week.pcr_specimens_positive_7d * 100.0 / week.pcr_specimens_total_7d, 2) end as pcr_specimens_positivity_percent_7d,
    week.antigen_people_positive,
    week.antigen_people_total,
    round(week.antigen_people_positive * 100.0 / nullif(week.antigen_people_total, 0), 2) as antigen_people_positivity_percent,
    week.antigen_people_positive_7d,
    week.antigen_people_total_7d,
    case when week.antigen_people_positive_7d >= 0 and week.antigen_people_total_7d > 0 then round(week.antigen_people_positive_7d * 100.0 / week.antigen_people_total_7d, 2) end as antigen_people_positivity_percent_7d,
    week.antigen_encounters_positive,
    week.antigen_encounters_total,
    round(week.antigen_encounters_positive * 100.0 / nullif(week.antigen_encounters_total, 0), 2) as antigen_encounters_positivity_percent,
    week.antigen_encounters_positive_7d,
    week.antigen_encounters_total_7d,
    case when week.antigen_encounters_positive_7d >= 0 and week.antigen_encounters_total_7d > 0 then round(week.antigen_encounters_positive_7d * 100.0 / week.antigen_encounters_total_7d, 2) end as antigen_encounters_positivity_percent_7d,
    week.antibody_people_positive,
    week.antibody_people_total,
    round(week.antibody_people_positive * 100.0 / nullif(week.antibody_people_total, 0), 2) as antibody_people_positivity_percent,
    week.antibody_people_positive_7d,
    week.antibody_people_total_7d,
    case when week.antibody_people_positive_7d >= 0 and week.antibody_people_total_7d > 0 then round(week.antibody_people_positive_7d * 100.0 / week.antibody_people_total_7d, 2) end as antibody_people_positivity_percent_7d,
    week.antibody_encounters_positive,
    week.antibody_encounters_total,
    round(week.antibody_encounters_positive * 100.0 / nullif(week.antibody_encounters_total, 0), 2) as antibody_encounters_positivity_percent,
    week.antibody_encounters_positive_7d,
    week.antibody_encounters_total_7d,
    case when week.antibody_encounters_positive_7d >= 0 and week.antibody_encounters_total_7d > 0 then round(week.antibody_encounters_positive_7d * 100.0 / week.antibody_encounters_total_7d, 2) end as antibody_encounters_positivity_percent_7d
from week
inner join public.location_dimension as location using (location_id);
comment on view mart.positivity is 'One row per state and reporting day with counts by kind of test: shares of positive tests, per kind and unit. The unit is in the name of each column. Never divide, add or compare columns of different units, and compare states only by the same column: a state that counts specimens has a lower percent than one that counts people. The nation publishes no counts by kind.';
comment on column mart.positivity.location_code is 'Postal code.';
comment on column mart.positivity.name is 'Name of the location.';
comment on column mart.positivity.location_type is 'state or territory.';
comment on column mart.positivity.report_date is 'Reporting day, as labelled by the source.';
comment on column mart.positivity.pcr_people_positive is 'PCR tests with a positive result, people, each counted once, cumulative. Not additive over days.';
comment on column mart.positivity.pcr_people_total is 'PCR tests with any result, people, each counted once, cumulative. Not additive over days.';
comment on column mart.positivity.pcr_people_positivity_percent is 'pcr_people_positive per 100 of pcr_people_total since the start, to 2 decimals. Not additive. Above 100 where a state counts the two differently.';
comment on column mart.positivity.pcr_people_positive_7d is 'pcr_people_positive minus its value 7 days before: positives of the last 7 days. Negative after corrections; null where either is not known.';
comment on column mart.positivity.pcr_people_total_7d is 'pcr_people_total minus its value 7 days before: tests of the last 7 days. Negative after corrections; null where either is not known.';
comment on column mart.positivity.pcr_people_positivity_percent_7d is 'pcr_people_positive_7d per 100 of pcr_people_total_7d, to 2 decimals; null where there were none, or after a correction that makes one negative. Not additive. Backlogs can take it above 100.';
comment on column mart.positivity.pcr_specimens_positive is 'PCR tests with a positive result, samples, of which one person may have several, cumulative. Not additive over days.';
comment on column mart.positivity.pcr_specimens_total is 'PCR tests with any result, samples, of which one person may have several, cumulative. Not additive over days.';
comment on column mart.positivity.pcr_specimens_positivity_percent is 'pcr_specimens_positive per 100 of pcr_specimens_total since the start, to 2 decimals. Not additive. Above 100 where a state counts the two differently.';
comment on column mart.positivity.pcr_specimens_positive_7d is 'pcr_specimens_positive minus its value 7 days before: positives of the last 7 days. Negative after corrections; null where either is not known.';
comment on column mart.positivity.pcr_specimens_total_7d is 'pcr_specimens_total minus its value 7 days before: tests of the last 7 days. Negative after corrections; null where either is not known.';
comment on column mart.positivity.pcr_specimens_positivity_percent_7d is 'pcr_specimens_positive_7d per 100 of pcr_specimens_total_7d, to 2 decimals; null where there were none, or after a correction that makes one negative. Not additive. Backlogs can take it above 100.';
comment on column mart.positivity.antigen_people_positive is 'Antigen tests with a positive result, people, each counted once, cumulative. Not additive over days.';
comment on column mart.positivity.antigen_people_total is 'Antigen tests with any result, people, each counted once, cumulative. Not additive over days.';
comment on column mart.positivity.antigen_people_positivity_percent is 'antigen_people_positive per 100 of antigen_people_total since the start, to 2 decimals. Not additive. Above 100 where a state counts the two differently.';
comment on column mart.positivity.antigen_people_positive_7d is 'antigen_people_positive minus its value 7 days before: positives of the last 7 days. Negative after corrections; null where either is not known.';
comment on column mart.positivity.antigen_people_total_7d is 'antigen_people_total minus its value 7 days before: tests of the last 7 days. Negative after corrections; null where either is not known.';
comment on column mart.positivity.antigen_people_positivity_percent_7d is 'antigen_people_positive_7d per 100 of antigen_people_total_7d, to 2 decimals; null where there were none, or after a correction that makes one negative. Not additive. Backlogs can take it above 100.';
comment on column mart.positivity.antigen_encounters_positive is 'Antigen tests with a positive result, people once per day, cumulative. Not additive over days.';
comment on column mart.positivity.antigen_encounters_total is 'Antigen tests with any result, people once per day, cumulative. Not additive over days.';
comment on column mart.positivity.antigen_encounters_positivity_percent is 'antigen_encounters_positive per 100 of antigen_encounters_total since the start, to 2 decimals. Not additive. Above 100 where a state counts the two differently.';
comment on column mart.positivity.antigen_encounters_positive_7d is 'antigen_encounters_positive minus its value 7 days before: positives of the last 7 days. Negative after corrections; null where either is not known.';
comment on column mart.positivity.antigen_encounters_total_7d is 'antigen_encounters_total minus its value 7 days before: tests of the last 7 days. Negative after corrections; null where either is not known.';
comment on column mart.positivity.antigen_encounters_positivity_percent_7d is 'antigen_encounters_positive_7d per 100 of antigen_encounters_total_7d, to 2 decimals; null where there were none, or after a correction that makes one negative. Not additive. Backlogs can take it above 100.';
comment on column mart.positivity.antibody_people_positive is 'Antibody tests with a positive result, people, each counted once, cumulative. Not additive over days. Antibodies show a past infection.';
comment on column mart.positivity.antibody_people_total is 'Antibody tests with any result, people, each counted once, cumulative. Not additive over days.';
comment on column mart.positivity.antibody_people_positivity_percent is 'antibody_people_positive per 100 of antibody_people_total since the start, to 2 decimals. Not additive. Above 100 where a state counts the two differently.';
comment on column mart.positivity.antibody_people_positive_7d is 'antibody_people_positive minus its value 7 days before: positives of the last 7 days. Negative after corrections; null where either is not known.';
comment on column mart.positivity.antibody_people_total_7d is 'antibody_people_total minus its value 7 days before: tests of the last 7 days. Negative after corrections; null where either is not known.';
comment on column mart.positivity.antibody_people_positivity_percent_7d is 'antibody_people_positive_7d per 100 of antibody_people_total_7d, to 2 decimals; null where there were none, or after a correction that makes one negative. Not additive. Backlogs can take it above 100.';
comment on column mart.positivity.antibody_encounters_positive is 'Antibody tests with a positive result, people once per day, cumulative. Not additive over days. Antibodies show a past infection.';
comment on column mart.positivity.antibody_encounters_total is 'Antibody tests with any result, people once per day, cumulative. Not additive over days.';
comment on column mart.positivity.antibody_encounters_positivity_percent is 'antibody_encounters_positive per 100 of antibody_encounters_total since the start, to 2 decimals. Not additive. Above 100 where a state counts the two differently.';
comment on column mart.positivity.antibody_encounters_positive_7d is 'antibody_encounters_positive minus its value 7 days before: positives of the last 7 days. Negative after corrections; null where either is not known.';
comment on column mart.positivity.antibody_encounters_total_7d is 'antibody_encounters_total minus its value 7 days before: tests of the last 7 days. Negative after corrections; null where either is not known.';
comment on column mart.positivity.antibody_encounters_positivity_percent_7d is 'antibody_encounters_positive_7d per 100 of antibody_encounters_total_7d, to 2 decimals; null where there were none, or after a correction that makes one negative. Not additive. Backlogs can take it above 100.';
