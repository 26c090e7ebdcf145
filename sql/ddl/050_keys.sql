-- The foreign keys of the star. Those of facts to their report are checked at commit, so that a load may write it last.
-- A load that makes the schema itself adds them after its rows: to check each row would take a third of its time.

alter table public.cases_dimension
add foreign key (location_id) references public.location_dimension,
add foreign key (report_date) references public.date_dimension;

alter table public.cases_fact
add foreign key (location_id, report_date) references public.cases_dimension deferrable initially deferred;

alter table public.testing_fact
add foreign key (location_id, report_date) references public.cases_dimension deferrable initially deferred;

alter table public.hospitalization_fact
add foreign key (location_id, report_date) references public.cases_dimension deferrable initially deferred;

alter table public.death_fact
add foreign key (location_id, report_date) references public.cases_dimension deferrable initially deferred;

alter table public.testing_detail_fact
add foreign key (location_id, report_date) references public.cases_dimension deferrable initially deferred;

alter table public.testing_detail_fact add foreign key (test_id) references public.test_dimension;
