#!/bin/sh
# Builds the image of this checkout, pushes it, and prints its address by digest: build.sh REPOSITORY VERSION
# The registry is logged in to already. Its label names the files that make the tables, which deploy.py compares.
set -eu
repository=$1
version=$2
cd "$(dirname "$0")/../.."
schema=$(find sql/ddl sql/migrations -name '*.sql' 2>/dev/null | sort | while read -r file; do
    printf '%s=%s ' "${file#sql/}" "$(sha256sum "$file" | cut -c 1-12)"
done)
docker build --quiet --build-arg SCHEMA="${schema% }" --tag "$repository:$version" . >&2
docker push --quiet "$repository:$version" >&2
docker inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$repository:$version" | grep "^$repository@" | head -n 1
