# The image of the loader: the program, its locked dependencies, the snapshot, psql. Nothing builds in it.

FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements/alerts.txt requirements.txt
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check --compile \
        --require-hashes --only-binary :all: -r requirements.txt
# psql alone: Debian's package of it needs Perl, for its wrappers.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client \
    && cp /usr/lib/postgresql/*/bin/psql /usr/local/bin/psql-program
COPY main.py ./app/
COPY etl ./app/etl/
COPY sql ./app/sql/
COPY snapshot ./app/snapshot/
RUN python -m compileall -q app/etl

FROM python:3.13-slim
LABEL org.opencontainers.image.title="covid-tracking-etl" \
    org.opencontainers.image.description="Loads the COVID Tracking Project API v2 into a Postgres star schema" \
    org.opencontainers.image.licenses="MIT"
# The libraries of psql; not pinned, so that a build has Debian's security updates.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libpq5 libreadline8t64 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin covid
COPY --from=build /usr/local/bin/psql-program /usr/local/bin/psql
COPY --from=build /opt/venv /opt/venv
COPY --from=build /build/app /app
# The roots of RDS, for PGSSLROOTCERT: the libpq of psycopg2-binary does not find the system's.
COPY deploy/aws/rds-ca.pem /opt/rds-ca.pem
# The files that make the tables; deploy/aws/build.sh names them, and deploy.py compares them.
ARG SCHEMA=
LABEL covid-tracking-etl.schema=$SCHEMA
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PSQL_HISTORY=/dev/null
USER 10001:10001
ENTRYPOINT ["python", "main.py"]
CMD ["load"]
