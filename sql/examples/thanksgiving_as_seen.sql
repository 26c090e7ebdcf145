-- How did the nation look to a nowcaster on the evening of Thanksgiving 2020, and how does that evening look now?
-- Cases and deaths are 7-day means, patients those of the day; the days are 26 November and the six before it.

select
    report_date,
    seen.new_cases_7d_mean as cases_then,
    now.new_cases_7d_mean as cases_now,
    seen.new_deaths_7d_mean as deaths_then,
    now.new_deaths_7d_mean as deaths_now,
    seen.currently_hospitalized as in_hospital_then,
    now.currently_hospitalized as in_hospital_now
from mart.rolling_7d_as_of(mart.vintage_of('2020-11-26')) as seen
full join mart.rolling_7d as now using (location_code, report_date)
where location_code = 'US' and report_date between '2020-11-20' and '2020-11-26'
order by report_date;

-- First rows, with the past:
--  report_date | cases_then | cases_now  | deaths_then | deaths_now | in_hospital_then | in_hospital_now
-- -------------+------------+------------+-------------+------------+------------------+-----------------
--  2020-11-20  | 164739.429 | 168272.429 |    1411.857 |   1432.857 |            82150 |           82318
--  2020-11-21  | 167050.000 | 170938.000 |    1440.429 |   1461.143 |            83232 |           83346
--  2020-11-22  | 167964.571 | 171956.000 |    1471.143 |   1491.286 |            83779 |           83882
--  2020-11-23  | 168265.571 | 172630.143 |    1516.714 |   1526.429 |            85870 |           85945
--  2020-11-24  | 169735.571 | 173584.000 |    1584.429 |   1603.286 |            88080 |           88132
--  2020-11-25  | 172539.286 | 176480.571 |    1643.857 |   1659.857 |            89959 |           90043
--  2020-11-26  | 164047.286 | 168170.857 |    1548.143 |   1571.571 |            90498 |           90564
