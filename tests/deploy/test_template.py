"""deploy/aws/template.yaml says what was meant, as far as that can be seen without an account."""

import re
import subprocess
import sys
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.template import ANSWERS, AWS, Template, statements, words


@pytest.fixture(scope="module")
def template() -> Template:
    return Template("template.yaml", **ANSWERS)


def container(template: Template, definition: str) -> dict[str, Any]:
    (only,) = template.resolved(definition)["ContainerDefinitions"]
    found: dict[str, Any] = only
    return found


@pytest.mark.parametrize("name", sorted(path.name for path in AWS.glob("*.yaml")))
def test_cfn_lint_finds_nothing(name: str) -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    found = subprocess.run([linter, AWS / name], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("name", sorted(path.name for path in AWS.glob("*.yaml")))
def test_every_parameter_is_used_and_every_reference_resolves(name: str) -> None:
    template = Template(name)
    below = template.text.split("\nResources:\n")[1]
    used = set(re.findall(r"!Ref (\w+)$|!Ref (\w+)[\],} ]|\$\{(\w+)\}", below, re.MULTILINE))
    names = {name for found in used for name in found if name}
    assert not template.parameters.keys() - names
    substitutions = (
        template.resources.get("StateMachine", {}).get("Properties", {}).get("DefinitionSubstitutions", {})
    )
    assert not names - template.parameters.keys() - template.resources.keys() - substitutions.keys()


# --- the day ---


def test_the_day_begins_in_the_time_zone_of_the_program(template: Template) -> None:
    schedule = template.resolved("Schedule")
    # Six fields, one of day-of-month and day-of-week a question mark, as Scheduler demands.
    assert re.fullmatch(r"cron\(\d+ \d+ \* \* \? \*\)", schedule["ScheduleExpression"])
    assert schedule["ScheduleExpressionTimezone"] == "America/New_York"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["Target"]["Arn"] == "<StateMachine>"
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": "<DeadLetters.Arn>"}
    assert 60 <= schedule["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 86400


def test_the_times_fit_into_each_other(template: Template) -> None:
    machine = template.machine()
    load = machine["States"]["Load"]
    # The program's own limit is 65 minutes; the task gets time to be placed and to be stopped.
    assert 65 * 60 < load["TimeoutSeconds"] < machine["TimeoutSeconds"]
    # All attempts that fail at once, and their pauses, fit too.
    assert 4 * 60 + 3 * machine["States"]["Pause"]["Seconds"] < machine["TimeoutSeconds"]
    # A load that ends well in the last moment, after the longest day of the year, is no alarm.
    assert 25 * 3600 + machine["TimeoutSeconds"] <= template.resolved("NoSuccess")["EvaluationPeriods"] * 3600


# --- the task ---


@pytest.mark.parametrize("definition", ["OwnerDefinition", "LoadDefinition"])
def test_a_task_has_no_more_than_it_needs(template: Template, definition: str) -> None:
    task, run = template.resolved(definition), container(template, definition)
    assert task["RequiresCompatibilities"] == ["FARGATE"]
    assert task["NetworkMode"] == "awsvpc"
    assert run["ReadonlyRootFilesystem"] is True
    assert run["LinuxParameters"] == {"InitProcessEnabled": True, "Capabilities": {"Drop": ["ALL"]}}
    assert run["User"] == "10001:10001"
    assert not {"Privileged", "MountPoints", "PortMappings", "EntryPoint"} & run.keys()
    assert "Volumes" not in task
    # Fargate takes at most 120; the program ends within 5 seconds of a signal.
    assert 5 < run["StopTimeout"] <= 120
    assert run["Memory"] <= int(task["Memory"])
    assert run["Image"] == ANSWERS["Image"]
    assert run["Command"][-2:] == ["--log-format", "json"]
    assert run["LogConfiguration"]["LogDriver"] == "awslogs"
    assert template.resolved("LogGroup")["RetentionInDays"] == 90


@pytest.mark.parametrize(
    ("definition", "secret", "keys"),
    [
        ("OwnerDefinition", "OwnerSecretArn", {"PGUSER": "username", "PGPASSWORD": "password"}),
        (
            "LoadDefinition",
            "LoaderSecretArn",
            {"PGUSER": "username", "PGPASSWORD": "password", "COVID_ETL_ALERT_URLS": "alert_urls"},
        ),
    ],
)
def test_a_task_gets_its_own_secret_by_keys(
    template: Template, definition: str, secret: str, keys: dict[str, str]
) -> None:
    run = container(template, definition)
    # ARN:KEY:VERSION_STAGE:VERSION_ID, the last two empty, so that a new version is taken by the next task.
    expected = {name: f"{ANSWERS[secret]}:{key}::" for name, key in keys.items()}
    assert {entry["Name"]: entry["ValueFrom"] for entry in run["Secrets"]} == expected
    plain = {entry["Name"] for entry in run["Environment"]}
    assert not plain & ({"PGPASSWORD", "PGUSER", "DATABASE_URL", "COVID_ETL_ALERT_URLS"})


def test_the_server_must_prove_its_name(template: Template) -> None:
    for definition in ("OwnerDefinition", "LoadDefinition"):
        variables = {entry["Name"]: entry["Value"] for entry in container(template, definition)["Environment"]}
        assert variables["PGSSLMODE"] == "verify-full"
        assert variables["PGSSLROOTCERT"] == "/opt/rds-ca.pem"
        assert variables["PGHOST"] == ANSWERS["DatabaseHost"]


def test_the_two_definitions_differ_in_command_login_and_source_alone(template: Template) -> None:
    owner, load = (container(template, name) for name in ("OwnerDefinition", "LoadDefinition"))
    assert owner.pop("Command")[0] == "init-db"
    assert load.pop("Command")[0] == "load"
    assert owner.pop("Secrets") != load.pop("Secrets")
    assert load["Environment"].pop() == {"Name": "COVID_ETL_SOURCE", "Value": "api"}
    assert owner == load


# --- rights ---


def rights(template: Template, *names: str) -> list[dict[str, Any]]:
    found = [statement for name, statement in statements(template) if name in names]
    return [statement for statement in found if "Principal" not in statement]


def test_each_execution_role_reads_one_secret(template: Template) -> None:
    for definition, role, secret in (
        ("OwnerDefinition", "OwnerExecutionRole", "OwnerSecretArn"),
        ("LoadDefinition", "LoaderExecutionRole", "LoaderSecretArn"),
    ):
        assert template.resolved(definition)["ExecutionRoleArn"] == f"<{role}.Arn>"
        assert rights(template, role) == [
            {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": ANSWERS[secret]}
        ]


def test_the_program_itself_may_do_nothing(template: Template) -> None:
    role = template.resolved("TaskRole")
    assert not {"Policies", "ManagedPolicyArns"} & role.keys()
    for definition in ("OwnerDefinition", "LoadDefinition"):
        assert template.resolved(definition)["TaskRoleArn"] == "<TaskRole.Arn>"


def test_the_schedule_may_start_one_state_machine_and_write_to_one_queue(template: Template) -> None:
    assert rights(template, "ScheduleRole") == [
        {"Effect": "Allow", "Action": "states:StartExecution", "Resource": "<StateMachine>"},
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "<DeadLetters.Arn>"},
    ]


def test_the_state_machine_may_run_the_load_and_wait_for_it(template: Template) -> None:
    run, watch, passing, rule = rights(template, "StateMachineRole")
    assert (run["Action"], run["Resource"]) == ("ecs:RunTask", "<LoadDefinition>")
    assert set(watch["Action"]) == {"ecs:StopTask", "ecs:DescribeTasks"}
    assert watch["Condition"] == {"ArnEquals": {"ecs:cluster": "<Cluster.Arn>"}}
    assert passing["Action"] == "iam:PassRole"
    definition = template.resolved("LoadDefinition")
    assert passing["Resource"] == [definition["TaskRoleArn"], definition["ExecutionRoleArn"]]
    assert set(rule["Action"]) == {"events:PutTargets", "events:PutRule", "events:DescribeRule"}
    assert rule["Resource"].endswith(":rule/StepFunctionsGetEventsForECSTaskRule")


def test_every_role_is_bounded_and_taken_by_one_service_of_this_account(template: Template) -> None:
    for name in template.of_type("AWS::IAM::Role"):
        properties = template.resolved(name)
        assert properties["PermissionsBoundary"] == ANSWERS["BoundaryArn"]
        (statement,) = properties["AssumeRolePolicyDocument"]["Statement"]
        assert list(statement["Principal"]) == ["Service"]
        assert isinstance(statement["Principal"]["Service"], str)


@pytest.mark.parametrize("name", sorted(path.name for path in AWS.glob("*.yaml")))
def test_no_wildcard_stands_without_a_reason(name: str) -> None:
    lines = (AWS / name).read_text().splitlines()
    for number, line in enumerate(lines):
        if line.strip() == "- Effect: Allow":
            inner = line.replace("-", " ")[: line.index("E")]
            statement = "\n".join(takewhile(partial(re.match, inner), lines[number + 1 :]))
            if re.search(r"Resource: \"\*\"|Action:.*\*|^ +- \w+:\*", statement, re.MULTILINE):
                assert lines[number - 1].strip().startswith("# "), statement


def test_an_action_is_a_wildcard_for_the_account_over_its_own_key_alone(template: Template) -> None:
    for name, statement in statements(template):
        wide = [action for action in words(statement["Action"]) if action.endswith("*")]
        assert not wide or name == "TopicKey", statement


# --- who is told ---


def test_every_alarm_goes_to_the_one_topic(template: Template) -> None:
    alarms = {name: template.resolved(name) for name in template.of_type("AWS::CloudWatch::Alarm")}
    assert {alarm["MetricName"] for alarm in alarms.values()} == {
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "ExecutionsSucceeded",
        "ApproximateNumberOfMessagesVisible",
    }
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == ["<Topic>"]
    for name in ("Failed", "TimedOut", "NotStarted"):
        assert alarms[name]["TreatMissingData"] == "notBreaching"
        assert (alarms[name]["Threshold"], alarms[name]["ComparisonOperator"]) == (0, "GreaterThanThreshold")


def test_a_day_without_success_is_told(template: Template) -> None:
    alarm = template.resolved("NoSuccess")
    # Over more than a day an alarm looks by periods of an hour or longer, and over at most a week.
    assert alarm["Period"] == 3600
    assert alarm["EvaluationPeriods"] == alarm["DatapointsToAlarm"] == 27
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "LessThanThreshold")
    # Hours without an execution have no figure at all.
    assert alarm["TreatMissingData"] == "breaching"


def test_alarms_may_use_the_topic_and_its_key(template: Template) -> None:
    assert template.resolved("Topic")["KmsMasterKeyId"] == "<TopicKey>"
    assert template.resolved("TopicKey")["EnableKeyRotation"] is True
    alarms = {"Service": "cloudwatch.amazonaws.com"}
    (key,) = [found for name, found in statements(template) if name == "TopicKey" and found["Principal"] == alarms]
    assert set(key["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*"}
    (topic,) = [found for name, found in statements(template) if name == "TopicPolicy"]
    assert (topic["Principal"], topic["Action"], topic["Resource"]) == (alarms, "sns:Publish", "<Topic>")


def test_the_outputs_are_what_a_deployment_asks_for(template: Template) -> None:
    outputs = template.resolve(template.document["Outputs"])
    assert outputs["Subnets"]["Value"] == "subnet-1,subnet-2"
    assert outputs["LoadDefinition"]["Value"] == "<LoadDefinition>"
