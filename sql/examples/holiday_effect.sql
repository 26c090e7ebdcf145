-- How much less was reported on holidays?
-- The day's new cases beside those of the same weekday one week before: free of the rhythm of the week, not of growth.
-- The week before may hold a holiday itself: New Year's Day stands beside Christmas.

select
    holiday.report_date,
    calendar.federal_holiday,
    holiday.new_cases,
    week_before.new_cases as new_cases_week_before,
    round(100 * (holiday.new_cases::numeric / nullif(week_before.new_cases, 0) - 1), 1) as difference_percent
from mart.new_per_day as holiday
inner join mart.new_per_day as week_before
    on holiday.location_code = week_before.location_code and holiday.report_date = week_before.report_date + 7
inner join date_dimension as calendar on holiday.report_date = calendar.date
where holiday.location_code = 'US' and calendar.federal_holiday is not null and holiday.report_date >= '2020-05-01'
order by holiday.report_date;

-- First rows:
--  report_date |           federal_holiday           | new_cases | new_cases_week_before | difference_percent
-- -------------+-------------------------------------+-----------+-----------------------+--------------------
--  2020-05-25  | Memorial Day                        |     18543 |                 20613 |              -10.0
--  2020-07-04  | Independence Day                    |     54846 |                 43104 |               27.2
--  2020-09-07  | Labor Day                           |     28117 |                 31720 |              -11.4
--  2020-10-12  | Columbus Day                        |     43248 |                 37752 |               14.6
--  2020-11-11  | Veterans Day                        |    149333 |                105996 |               40.9
--  2020-11-26  | Thanksgiving Day                    |    129764 |                187932 |              -31.0
--  2020-12-25  | Christmas Day                       |    126796 |                241786 |              -47.6
--  2021-01-01  | New Year's Day                      |    182906 |                126796 |               44.3
--  2021-01-18  | Birthday of Martin Luther King, Jr. |    150792 |                195255 |              -22.8
--  2021-02-15  | Washington's Birthday               |     55077 |                 77737 |              -29.1
