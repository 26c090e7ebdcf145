"""The deployment, against an AWS that keeps what it is told, and against answers of the documented shape."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

import deploy
from tests.deploy.template import ANSWERS, AWS, Template

# The stand-in has no schedule, no alarm; test_template.py asserts these.
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS")
NAME = "covid-tracking-etl-staging"
IMAGE, NEWER = ANSWERS["Image"], str(ANSWERS["Image"]).replace("0" * 64, "1" * 64)
STACK_ROLE = "arn:aws:iam::123456789012:role/stack"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An account with a network, secrets, and nothing else."""
    # The stand-in cannot read the tag of a key as CloudFormation writes it.
    untagged, tag = (tmp_path / "template.yaml"), "      Tags: [{Key: project, Value: !Ref AWS::StackName}]\n"
    untagged.write_text(deploy.TEMPLATE.read_text().replace(tag, ""))
    monkeypatch.setattr(deploy, "TEMPLATE", untagged)
    with mock_aws():
        ec2, manager = boto3.client("ec2"), boto3.client("secretsmanager")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        group = ec2.create_security_group(GroupName="db", Description="db", VpcId=vpc)["GroupId"]
        secret = json.dumps({"username": "covid_load", "password": "secret", "alert_urls": ""})
        answers = {name: value for name, value in ANSWERS.items() if name != "Image"} | {
            "Vpc": vpc,
            "Subnets": subnet,
            "DatabaseSecurityGroup": group,
            "LoaderSecretArn": manager.create_secret(Name="loader", SecretString=secret)["ARN"],
        }
        monkeypatch.setenv("STACK_PARAMETERS", json.dumps(answers))
        monkeypatch.setenv("STACK_ROLE_ARN", STACK_ROLE)
        monkeypatch.setattr(deploy, "POLL", 0.1)
        yield


@pytest.fixture
def schemas(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """The files of each image, in place of its label."""
    found: dict[str, dict[str, str]] = {IMAGE: {"ddl/1.sql": "a"}, NEWER: {"ddl/1.sql": "a", "migrations/2.sql": "b"}}
    monkeypatch.setattr(deploy, "schema_of", found.__getitem__)
    return found


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The state machines that were executed."""
    found: list[str] = []
    monkeypatch.setattr(deploy, "execute", lambda stack: found.append(stack.outputs["StateMachine"]))
    return found


def run_tasks() -> list[dict[str, Any]]:
    """Every task that was run, in whatever cluster: the stand-in makes another one when a stack changes."""
    ecs = boto3.client("ecs")
    tasks: dict[str, dict[str, Any]] = {}
    for cluster in ecs.list_clusters()["clusterArns"]:
        for status in ("RUNNING", "STOPPED"):
            if found := ecs.list_tasks(cluster=cluster, desiredStatus=status)["taskArns"]:
                described = ecs.describe_tasks(cluster=cluster, tasks=found)["tasks"]
                tasks |= {task["taskArn"]: task for task in described}
    return list(tasks.values())


def test_the_first_deployment_makes_the_schema_and_asks_for_the_login(
    aws: None, executed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy.main(["deploy", "staging", IMAGE]) == 0
    (task,) = run_tasks()
    assert task["taskDefinitionArn"].endswith("-init-db:1")
    assert not executed
    assert "run `deploy.py login`" in capsys.readouterr().err
    stack = deploy.stack(NAME)
    assert stack is not None
    assert stack.parameters["Image"] == IMAGE


def test_a_later_deployment_upgrades_and_loads(
    aws: None, executed: list[str], schemas: dict[str, dict[str, str]]
) -> None:
    assert deploy.main(["deploy", "staging", IMAGE]) == 0
    assert deploy.main(["deploy", "staging", NEWER]) == 0
    stack = deploy.stack(NAME)
    assert stack is not None
    assert stack.parameters["Image"] == NEWER
    ran = [task["taskDefinitionArn"].rsplit("/")[-1] for task in run_tasks()]
    assert sorted(ran) == [f"{NAME}-init-db:1", f"{NAME}-init-db:2"]
    assert executed == [stack.outputs["StateMachine"]]


def test_an_image_without_the_deployed_tables_is_refused_before_anything_changes(
    aws: None, executed: list[str], schemas: dict[str, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy.main(["deploy", "staging", NEWER]) == 0
    assert deploy.main(["deploy", "staging", IMAGE]) == 1
    assert "sql/migrations/2.sql, which this image does not have" in capsys.readouterr().err
    stack = deploy.stack(NAME)
    assert stack is not None
    assert stack.parameters["Image"] == NEWER


def test_a_deployment_goes_back_where_no_migration_lies_between(
    aws: None, executed: list[str], schemas: dict[str, dict[str, str]]
) -> None:
    schemas[NEWER] = schemas[IMAGE]
    assert deploy.main(["deploy", "staging", NEWER]) == 0
    assert deploy.main(["deploy", "staging", IMAGE]) == 0
    stack = deploy.stack(NAME)
    assert stack is not None
    assert stack.parameters["Image"] == IMAGE


def test_the_same_image_again_loads_again(aws: None, executed: list[str]) -> None:
    assert deploy.main(["deploy", "staging", IMAGE]) == 0
    assert deploy.main(["deploy", "staging", IMAGE]) == 0
    assert len(executed) == 1


def test_a_changed_file_of_an_applied_migration_is_refused() -> None:
    with pytest.raises(deploy.DeploymentError, match="sql/ddl/1.sql"):
        deploy.require_forward({"ddl/1.sql": "a"}, {"ddl/1.sql": "b"})


def test_the_login_is_made_by_the_owner_s_task(aws: None, executed: list[str]) -> None:
    assert deploy.main(["deploy", "staging", IMAGE]) == 0
    assert deploy.main(["login", "staging"]) == 0
    commands = [task["overrides"].get("containerOverrides", []) for task in run_tasks()]
    (made,) = [found[0]["command"] for found in commands if found]
    assert made[:2] == ["psql", "--"]
    assert "create role covid_load login" in made[-1]
    assert "'secret'" not in made[-1]


def test_a_login_without_a_stack_is_an_error(aws: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.main(["login", "staging"]) == 1
    assert "there is no stack covid-tracking-etl-staging: deploy first" in capsys.readouterr().err


def test_a_variable_that_is_not_set_is_named(
    aws: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("STACK_PARAMETERS")
    assert deploy.main(["deploy", "staging", str(IMAGE)]) == 2
    assert capsys.readouterr().err.strip() == "STACK_PARAMETERS is not set: the head of deploy.py says what it holds"


def test_an_image_that_cannot_be_had_is_one_line(
    aws: None, executed: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A program named docker that fails stands in for a registry that refuses."""
    assert deploy.main(["deploy", "staging", str(IMAGE)]) == 0
    capfd.readouterr()
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert deploy.main(["deploy", "staging", NEWER]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "'pull'" in line
    assert line.endswith("returned non-zero exit status 1.")


def test_a_word_that_is_no_command_shows_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.main(["deploy"]) == 2
    assert "deploy.py deploy ENVIRONMENT IMAGE" in capsys.readouterr().err


def test_the_template_is_short_enough_to_be_sent() -> None:
    assert len((AWS / "template.yaml").read_bytes()) <= 51200
    template = Template("template.yaml", **ANSWERS)
    assert template.parameters.keys() - {"Image"} >= ANSWERS.keys() - {"Image"}


# --- answers of AWS that its stand-in does not give ---

OUTPUTS = {
    "Cluster": "cluster", "OwnerDefinition": "owner:1", "StateMachine": "arn:aws:states:us-east-1:1:stateMachine:m",
    "Subnets": "a,b", "SecurityGroup": "sg", "AssignPublicIp": "DISABLED", "LogGroup": "log",
}  # fmt: skip
STACK = deploy.Stack("UPDATE_COMPLETE", {}, OUTPUTS)
TASK = "arn:aws:ecs:us-east-1:1:task/cluster/7"


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Stubber]]:
    """Clients that answer what the test says, and check each call by the service's model."""
    clients = {name: boto3.client(name) for name in ("ecs", "stepfunctions")}
    stubs = {name: Stubber(client) for name, client in clients.items()}
    monkeypatch.setattr(boto3, "client", clients.__getitem__)
    monkeypatch.setattr(deploy, "POLL", 0)
    for found in stubs.values():
        found.activate()
    yield stubs
    for found in stubs.values():
        found.assert_no_pending_responses()


def ran(stub: Stubber, **task: Any) -> None:
    network = {"subnets": ["a", "b"], "securityGroups": ["sg"], "assignPublicIp": "DISABLED"}
    expected = {
        "cluster": "cluster",
        "taskDefinition": "owner:1",
        "launchType": "FARGATE",
        "networkConfiguration": {"awsvpcConfiguration": network},
        "overrides": {"containerOverrides": []},
    }
    stub.add_response("run_task", {"tasks": [{"taskArn": TASK}], "failures": []}, expected)
    stopped = {"tasks": [{"taskArn": TASK, "lastStatus": "STOPPED"} | task], "failures": []}
    for _ in range(2):
        stub.add_response("describe_tasks", stopped, {"cluster": "cluster", "tasks": [TASK]})


def test_the_exit_code_of_the_owner_s_task_is_the_deployment_s(
    stub: dict[str, Stubber], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(deploy, "WAIT", 1)
    monkeypatch.setattr(deploy, "POLL", 1)
    ran(stub["ecs"], containers=[{"name": "etl", "exitCode": 75}])
    with pytest.raises(deploy.DeploymentError) as raised:
        deploy.run_owner(STACK, [])
    assert raised.value.exit_code == 75
    assert "task 7 ended with exit code 75; its log: log, etl/etl/7" in capsys.readouterr().err


def test_a_task_that_did_not_start_says_why(stub: dict[str, Stubber], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "WAIT", 1)
    monkeypatch.setattr(deploy, "POLL", 1)
    ran(stub["ecs"], containers=[{"name": "etl"}], stoppedReason="ResourceInitializationError: no secret")
    with pytest.raises(deploy.DeploymentError, match="did not start: ResourceInitializationError: no secret"):
        deploy.run_owner(STACK, [])


def test_a_task_without_a_place_says_so(stub: dict[str, Stubber]) -> None:
    stub["ecs"].add_response("run_task", {"tasks": [], "failures": [{"reason": "RESOURCE:ENI"}]})
    with pytest.raises(deploy.DeploymentError, match=r"no place for the task \(RESOURCE:ENI\)"):
        deploy.run_owner(STACK, [])


def executes(stub: Stubber, *answers: dict[str, Any]) -> None:
    arn, now = "arn:aws:states:us-east-1:1:execution:m:1", "2026-01-01T00:00:00Z"
    machine = OUTPUTS["StateMachine"]
    stub.add_response(
        "start_execution", {"executionArn": arn, "startDate": now}, {"stateMachineArn": machine, "input": "{}"}
    )
    for answer in answers:
        described = {"executionArn": arn, "stateMachineArn": machine, "startDate": now} | answer
        stub.add_response("describe_execution", described, {"executionArn": arn})


def test_the_exit_code_of_the_load_is_read_back(stub: dict[str, Stubber], capsys: pytest.CaptureFixture[str]) -> None:
    output = json.dumps({"attempt": 1, "task": {"Containers": [{"ExitCode": 5}]}})
    executes(stub["stepfunctions"], {"status": "RUNNING"}, {"status": "SUCCEEDED", "output": output})
    deploy.execute(STACK)
    assert capsys.readouterr().err == "the load ended with exit code 5\n"


def test_a_load_that_failed_stops_the_deployment(stub: dict[str, Stubber]) -> None:
    failed = {
        "status": "FAILED",
        "error": "NeedsPerson",
        "cause": "The load ended with exit code 2; its log says why.",
    }
    executes(stub["stepfunctions"], failed)
    with pytest.raises(deploy.DeploymentError, match="the load FAILED: NeedsPerson: The load ended with exit code 2"):
        deploy.execute(STACK)
