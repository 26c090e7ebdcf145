"""The CloudFormation templates, parsed, and with their references resolved as AWS would for given parameters."""

import re
from collections.abc import Iterator
from typing import Any

from cfnlint.decode import decode

from etl.config import ROOT

AWS = ROOT / "deploy" / "aws"
ACCOUNT, REGION, STACK = "123456789012", "us-east-1", "covid-tracking-etl-staging"
PSEUDO = {"AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::Partition": "aws", "AWS::StackName": STACK}


def parsed(name: str) -> dict[str, Any]:
    """A template of `deploy/aws`, whose short forms (`!Ref`) have become long ones (`{"Ref": ...}`)."""
    template, failures = decode(str(AWS / name))
    assert not failures, failures
    assert template is not None
    return dict(template)


class Template:
    """A template whose references can be resolved: parameters to their values, resources to names that tell them."""

    def __init__(self, name: str, **parameters: Any) -> None:
        self.text = (AWS / name).read_text()
        self.document = parsed(name)
        self.parameters = self.document["Parameters"]
        self.resources = self.document["Resources"]
        defaults = {name: declared["Default"] for name, declared in self.parameters.items() if "Default" in declared}
        self.values = PSEUDO | defaults | parameters

    def of_type(self, kind: str) -> dict[str, Any]:
        """The properties of all resources of a type, by their logical names."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def resolved(self, name: str) -> Any:
        """The properties of a resource as AWS would see them."""
        return self.resolve(self.resources[name]["Properties"])

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        return self._resolved_function(value) if isinstance(value, dict) else value

    def _resolved_function(self, value: dict[str, Any]) -> Any:
        match list(value.items()):
            case [("Ref", name)]:
                return self.values.get(name, f"<{name}>")
            case [("Fn::GetAtt", path)]:
                return f"<{'.'.join(path if isinstance(path, list) else [path])}>"
            case [("Fn::Sub", str(text))]:
                return re.sub(r"\$\{([\w:.]+)\}", lambda found: str(self.resolve({"Ref": found[1]})), text)
            case [("Fn::Join", [separator, parts])]:
                return separator.join(self.resolve(parts))
        return {str(key): self.resolve(item) for key, item in value.items()}

    def machine(self) -> dict[str, Any]:
        """The definition of the state machine, as Step Functions gets it."""
        properties = self.resources["StateMachine"]["Properties"]
        substitutions = self.resolve(properties["DefinitionSubstitutions"])

        def filled(value: Any) -> Any:
            if isinstance(value, list):
                return [filled(item) for item in value]
            if isinstance(value, dict):
                return {str(key): filled(item) for key, item in value.items()}
            if isinstance(value, str):
                return re.sub(r"\$\{(\w+)\}", lambda found: substitutions[found[1]], value)
            return value

        machine: dict[str, Any] = filled(properties["Definition"])
        return machine


def statements(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of every policy in a template, with the logical name of its resource."""
    for name, resource in template.resources.items():
        properties = template.resolve(resource.get("Properties", {}))
        documents = [properties.get(key) for key in ("PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument")]
        documents += [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        for document in filter(None, documents):
            for statement in document["Statement"]:
                yield name, statement


def words(value: Any) -> list[str]:
    """A value that may be one word or several."""
    return [value] if isinstance(value, str) else list(value)


# What a person answers for the parameters of template.yaml.
ANSWERS: dict[str, Any] = {
    "Image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/covid-tracking-etl@sha256:{'0' * 64}",
    "RepositoryArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/covid-tracking-etl",
    "BoundaryArn": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
    "Vpc": "vpc-1",
    "Subnets": ["subnet-1", "subnet-2"],
    "DatabaseHost": "db.example",
    "DatabaseName": "covid",
    "DatabaseSecurityGroup": "sg-1",
    "OwnerSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:owner-AbCdEf",
    "LoaderSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:loader-AbCdEf",
    "AlarmEmail": "ops@example.org",
}
