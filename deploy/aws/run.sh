#!/bin/sh
# Runs deploy.py with what it needs: run.sh deploy ENVIRONMENT IMAGE, or run.sh login ENVIRONMENT
set -eu
cd "$(dirname "$0")/../.."
python3 -m venv .venv/aws
.venv/aws/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/aws.txt
if [ "$1" = deploy ]; then
    deploy/aws/registry_login.sh "$3"
fi
exec .venv/aws/bin/python deploy/aws/deploy.py "$@"
