"""deploy/aws/bootstrap.yaml gives the pipeline what it needs to deploy template.yaml, and no more."""

from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.deploy.template import ANSWERS, REGION, Template, statements, words

PROVIDER = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"


@pytest.fixture(scope="module", params=["staging", "production"])
def bootstrap(request: pytest.FixtureRequest) -> Template:
    return Template("bootstrap.yaml", Environment=request.param, Project="owner/name", OidcProviderArn=PROVIDER)


def allowed(statement: dict[str, Any], action: str) -> bool:
    return any(fnmatchcase(action, pattern) for pattern in words(statement["Action"]))


@pytest.mark.parametrize(("role", "environment"), [("BuildRole", "images"), ("DeployRole", None)])
def test_a_role_is_taken_by_one_environment_of_one_project(
    bootstrap: Template, role: str, environment: str | None
) -> None:
    (trust,) = bootstrap.resolved(role)["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Federated": PROVIDER}
    expected = environment or bootstrap.values["Environment"]
    # StringEquals, not StringLike: no pattern stands for a branch, a fork or another environment.
    assert trust["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": f"repo:owner/name:environment:{expected}",
        }
    }


def test_a_tag_of_the_image_stays_what_it_was(bootstrap: Template) -> None:
    assert bootstrap.resolved("Repository")["ImageTagMutability"] == "IMMUTABLE"


def test_the_boundary_allows_what_the_roles_of_the_stack_do(bootstrap: Template) -> None:
    boundary = [found for name, found in statements(bootstrap) if name == "Boundary"]
    stack = Template("template.yaml", **ANSWERS)
    roles = {*stack.of_type("AWS::IAM::Role"), *stack.of_type("AWS::IAM::ManagedPolicy")}
    needed = {
        action
        for name, statement in statements(stack)
        if name in roles and "Principal" not in statement
        for action in words(statement["Action"])
    }
    assert needed == {action for statement in boundary for action in words(statement["Action"])}
    (secrets,) = [found for found in boundary if "secretsmanager:GetSecretValue" in words(found["Action"])]
    environment = bootstrap.values["Environment"]
    assert secrets["Resource"].endswith(f":secret:covid-tracking-etl/{environment}/*")


def test_a_key_is_the_stack_s_own_by_the_tag_that_the_template_gives_it(bootstrap: Template) -> None:
    (tag,) = Template("template.yaml", **ANSWERS).document["Resources"]["TopicKey"]["Properties"]["Tags"]
    assert tag["Key"] == "project"
    name = f"covid-tracking-etl-{bootstrap.values['Environment']}"
    found = [found for role, found in statements(bootstrap) if role == "StackRole" and "Principal" not in found]
    for action, key in (
        ("kms:CreateKey", "RequestTag"),
        ("kms:TagResource", "RequestTag"),
        ("kms:DescribeKey", "ResourceTag"),
    ):
        (statement,) = (statement for statement in found if allowed(statement, action))
        assert statement["Condition"] == {"StringEquals": {f"aws:{key}/project": name}}


def test_a_role_without_the_boundary_cannot_be_made(bootstrap: Template) -> None:
    found = [found for name, found in statements(bootstrap) if name == "StackRole" and "Principal" not in found]
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"):
        (statement,) = [statement for statement in found if allowed(statement, action)]
        assert statement["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": "<Boundary>"}}
    # Nothing takes it away again, and the boundary itself is not the stack's to change.
    assert not any(allowed(statement, "iam:DeleteRolePermissionsBoundary") for statement in found)


def test_everything_with_a_name_is_the_environment_s_own(bootstrap: Template) -> None:
    environment = bootstrap.values["Environment"]
    shared = {"repository/covid-tracking-etl"}
    for name, statement in statements(bootstrap):
        if "Principal" in statement or name == "BuildRole":
            continue
        for resource in words(statement["Resource"]):
            if resource.startswith("arn:"):
                own = resource.split(":", 5)[5]
                assert f"covid-tracking-etl-{environment}" in own or f"etl/{environment}/" in own or own in shared


def test_the_stack_may_make_every_type_of_resource_that_it_has(bootstrap: Template) -> None:
    services = {resource["Type"].split("::")[1].lower() for resource in Template("template.yaml").resources.values()}
    names = {"stepfunctions": "states"}
    granted = {
        action.split(":")[0]
        for name, statement in statements(bootstrap)
        if name == "StackRole"
        for action in words(statement["Action"])
    }
    assert {names.get(service, service) for service in services} <= granted


def test_the_region_is_the_stack_s(bootstrap: Template) -> None:
    for _, statement in statements(bootstrap):
        for resource in words(statement.get("Resource", [])):
            if resource.startswith("arn:aws:") and resource.split(":")[2] != "iam":
                assert resource.split(":")[3] == REGION
