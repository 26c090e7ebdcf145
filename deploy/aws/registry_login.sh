#!/bin/sh
# Logs Docker in to the registry of a repository in ECR, with the credentials of the environment: REGISTRY[/REPOSITORY]
set -eu
aws ecr get-login-password | docker login --username AWS --password-stdin "${1%%/*}" >&2
