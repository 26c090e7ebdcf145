#!/bin/sh
# Runs once, when the database is made: the login of the loader, who owns the schema that it creates, and a role for
# readers. The password comes by the environment or by a file, and reaches psql by neither argument nor log.
set -eu

COVID_LOADER_PASSWORD=${COVID_LOADER_PASSWORD:-$(cat "$COVID_LOADER_PASSWORD_FILE")}
export COVID_LOADER_PASSWORD

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv password COVID_LOADER_PASSWORD
create role covid_reader nologin;
create role covid_loader login password :'password';
grant create on schema public to covid_loader;
select format('grant create on database %I to covid_loader', current_database()) \gexec
SQL
