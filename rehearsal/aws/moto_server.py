"""The control plane of the rehearsal's AWS: moto, with its differences from AWS mended.

Each function in PATCHES mends one difference that the real AWS provider of Terraform, or the data plane beside
this file, runs into; its docstring names the AWS behaviour. All of them are written for the moto version in
requirements.txt. When that version changes, take a patch out, deploy, plan and destroy: what stays clean goes.

Prints one line of JSON, `{"url": "http://127.0.0.1:PORT"}`, when it listens; ends when its standard input
closes, so that it cannot outlive the rehearsal that started it.
"""

import json
import re
import sys
import threading

# Attached by name to the roles of a deployment. moto can load all of AWS's policies, but that costs 250 MB.
MANAGED_POLICIES = (
    "AmazonAPIGatewayPushToCloudWatchLogs",
    "AmazonECSTaskExecutionRolePolicy",
)


def iam_knows_the_managed_policies_in_use():
    """AWS's managed policies exist in every account; moto has all of them or (its default) none."""
    from moto.iam import aws_managed_policies, models

    known = json.loads(aws_managed_policies.aws_managed_policies_data)
    kept = {name: known[name] for name in MANAGED_POLICIES}
    aws_managed_policies.aws_managed_policies_data = models.aws_managed_policies_data = ""

    def init_aws_policies(self):
        return [
            models.AWSManagedPolicy.from_data(name, self.account_id, self.region_name, policy)
            for name, policy in kept.items()
        ]

    models.IAMBackend._init_aws_policies = init_aws_policies


def codebuild_sources_without_location():
    """`NO_SOURCE` has no location.

    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ProjectSource.html
    """
    from moto.codebuild import responses

    validate = responses._validate_required_params_source

    def validate_source(source):
        if source.get("type") not in ("NO_SOURCE", "CODEPIPELINE"):
            validate(source)

    responses._validate_required_params_source = validate_source


def codebuild_update_project():
    """UpdateProject: a changed setting changes the project; moto cannot do it.

    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_UpdateProject.html
    """
    from moto.codebuild import responses
    from moto.core.responses import ActionResult

    settings = (
        "description source artifacts environment cache logsConfig vpcConfig timeoutInMinutes "
        "queuedTimeoutInMinutes sourceVersion serviceRole tags"
    ).split()

    def update_project(self):
        name = self._get_param("name")
        project = self.codebuild_backend.codebuild_projects.get(name)
        if project is None:
            raise responses.ResourceNotFoundException(f"Project {name} does not exist")
        for setting in settings:
            value = self._get_param(setting)
            if value is not None:
                project.project_metadata[setting] = value
        return ActionResult({"project": project.project_metadata})

    responses.CodeBuildResponse.update_project = update_project


def codebuild_deletes_by_arn():
    """DeleteProject takes a project's ARN as well, which is what Terraform sends; moto would keep the project.

    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_DeleteProject.html
    """
    from moto.codebuild.models import CodeBuildBackend

    delete = CodeBuildBackend.delete_project
    CodeBuildBackend.delete_project = lambda self, name: delete(self, name.split("project/")[-1])


def apigateway_escapes_the_resource_policy():
    """AWS returns a REST API's policy as the inside of a JSON string (quotes escaped), and the provider unquotes it.

    https://docs.aws.amazon.com/apigateway/latest/api/API_RestApi.html
    """
    from moto.apigateway import models

    to_dict = models.RestAPI.to_dict

    def escaped(self):
        api = to_dict(self)
        if api.get("policy"):
            api["policy"] = json.dumps(api["policy"])[1:-1]
        return api

    models.RestAPI.to_dict = escaped


def codepipeline_timestamps_are_numbers():
    """JSON 1.1 carries times as numbers; moto writes texts, which the SDKs refuse."""
    from moto.codepipeline import models
    from moto.core.utils import unix_time

    models.CodePipeline.metadata = property(
        lambda self: {
            "pipelineArn": self._arn,
            "created": unix_time(self._created),
            "updated": unix_time(self._updated),
        }
    )


def codedeploy_deletes_and_updates():
    """DeleteApplication, DeleteDeploymentGroup, UpdateDeploymentGroup are missing in moto.

    https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_UpdateDeploymentGroup.html
    """
    from moto.codedeploy import responses
    from moto.core.responses import ActionResult, EmptyResult

    settings = {
        "deploymentConfigName": "deployment_config_name",
        "serviceRoleArn": "service_role_arn",
        "triggerConfigurations": "trigger_configurations",
        "alarmConfiguration": "alarm_configuration",
        "autoRollbackConfiguration": "auto_rollback_configuration",
        "outdatedInstancesStrategy": "outdated_instances_strategy",
        "deploymentStyle": "deployment_style",
        "blueGreenDeploymentConfiguration": "blue_green_deployment_configuration",
        "loadBalancerInfo": "load_balancer_info",
        "ecsServices": "ecs_services",
    }

    def delete_application(self):
        name = self._get_param("applicationName")
        self.codedeploy_backend.applications.pop(name, None)
        self.codedeploy_backend.deployment_groups.pop(name, None)
        return EmptyResult()

    def delete_deployment_group(self):
        groups = self.codedeploy_backend.deployment_groups.get(self._get_param("applicationName"), {})
        groups.pop(self._get_param("deploymentGroupName"), None)
        return ActionResult({"hooksNotCleanedUp": []})

    def update_deployment_group(self):
        group = self.codedeploy_backend.get_deployment_group(
            self._get_param("applicationName"), self._get_param("currentDeploymentGroupName")
        )
        for parameter, attribute in settings.items():
            value = self._get_param(parameter)
            if value is not None:
                setattr(group, attribute, value)
        return ActionResult({"hooksNotCleanedUp": []})

    responses.CodeDeployResponse.delete_application = delete_application
    responses.CodeDeployResponse.delete_deployment_group = delete_deployment_group
    responses.CodeDeployResponse.update_deployment_group = update_deployment_group


def codedeploy_returns_the_alarms():
    """GetDeploymentGroup returns the alarms that stop a deployment; moto keeps them and returns none.

    https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_DeploymentGroupInfo.html
    """
    from moto.codedeploy import responses

    deployment_group_info = responses._deployment_group_info

    def with_alarms(deployment_group):
        info = deployment_group_info(deployment_group)
        return {**info, "alarmConfiguration": deployment_group.alarm_configuration or {}}

    responses._deployment_group_info = with_alarms


def ecs_keeps_the_settings_of_a_service():
    """CreateService keeps what it is given; moto drops the grace period and zone rebalancing, among others.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html
    """
    from moto.ecs import models, responses

    # What a service of a CODE_DEPLOY controller has when nothing is said.
    models.Service.availability_zone_rebalancing = "DISABLED"
    models.Service.health_check_grace_period_seconds = 0
    settings = {
        "availabilityZoneRebalancing": "availability_zone_rebalancing",
        "enableECSManagedTags": "enable_ecs_managed_tags",
        "enableExecuteCommand": "enable_execute_command",
        "healthCheckGracePeriodSeconds": "health_check_grace_period_seconds",
    }
    create_service = responses.EC2ContainerServiceResponse.create_service

    def with_settings(self):
        answer = create_service(self)
        for parameter, attribute in settings.items():
            value = self._get_param(parameter)
            if value is not None:
                setattr(answer.result["service"], attribute, value)
        return answer

    responses.EC2ContainerServiceResponse.create_service = with_settings


def stepfunctions_lists_versions():
    """ListStateMachineVersions, which the provider asks on every read; none is ever published here.

    https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListStateMachineVersions.html
    """
    from moto.core.responses import ActionResult
    from moto.stepfunctions import responses

    responses.StepFunctionResponse.list_state_machine_versions = lambda self: ActionResult(
        {"stateMachineVersions": []}
    )


def sqs_keeps_the_policy_of_a_queue():
    """SetQueueAttributes leaves alone what it does not name; moto forgets the queue's policy then.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
    """
    from moto.sqs import models

    set_queue_attributes = models.SQSBackend.set_queue_attributes

    def with_policy(self, queue_name, attributes):
        policy = self.get_queue(queue_name).policy
        return set_queue_attributes(self, queue_name, {"Policy": policy, **attributes})

    models.SQSBackend.set_queue_attributes = with_policy


def ec2_returns_the_description_of_every_rule():
    """A rule for another security group has a description too; moto returns that of address ranges only.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRule.html
    """
    from moto.ec2.models.security_groups import SecurityGroupRule

    SecurityGroupRule.description = property(
        lambda rule: (rule.ip_range or rule.source_group).get("Description")
    )


def s3_returns_the_eventbridge_setting():
    """GetBucketNotificationConfiguration returns an (empty) EventBridgeConfiguration where it is on.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketNotificationConfiguration.html
    """
    from moto.s3 import responses

    get_bucket_notification = responses.S3Response.get_bucket_notification

    def with_eventbridge(self):
        answer = get_bucket_notification(self)
        setting = self.backend.get_bucket_notification_configuration(self.bucket_name)
        if setting is None or setting.event_bridge is None:
            return answer
        status, headers, body = answer
        text = body.decode() if isinstance(body, bytes) else body
        element = "<EventBridgeConfiguration></EventBridgeConfiguration></NotificationConfiguration>"
        text = re.sub(
            r"</NotificationConfiguration>|(?P<open><NotificationConfiguration[^>]*)/>",
            lambda m: (m["open"] + ">" if m["open"] else "") + element,
            text,
            count=1,
        )
        headers = {k: v for k, v in headers.items() if k.lower() != "content-length"}
        return status, headers, text

    responses.S3Response.get_bucket_notification = with_eventbridge


def s3_leaves_bucket_policies_to_the_endpoint():
    """The endpoint evaluates bucket policies; moto takes a statement whose condition it cannot check for a denial,
    so that the usual "deny plain HTTP" locks everybody out of the bucket.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
    """
    from moto.iam.access_control import PermissionResult
    from moto.s3 import models

    models.FakeBucket.get_permission = lambda *_args, **_kwargs: PermissionResult.NEUTRAL


def s3_leaves_events_to_the_data_plane():
    """The data plane sends "Object Created" itself (in AWS's own form); moto's second one would start twice."""
    from moto.s3 import notifications

    notifications._send_event_bridge_message = lambda *_args, **_kwargs: None


PATCHES = (
    iam_knows_the_managed_policies_in_use,
    codebuild_sources_without_location,
    codebuild_update_project,
    codebuild_deletes_by_arn,
    apigateway_escapes_the_resource_policy,
    codepipeline_timestamps_are_numbers,
    codedeploy_deletes_and_updates,
    codedeploy_returns_the_alarms,
    ecs_keeps_the_settings_of_a_service,
    sqs_keeps_the_policy_of_a_queue,
    ec2_returns_the_description_of_every_rule,
    stepfunctions_lists_versions,
    s3_returns_the_eventbridge_setting,
    s3_leaves_bucket_policies_to_the_endpoint,
    s3_leaves_events_to_the_data_plane,
)


def main():
    for patch in PATCHES:
        patch()

    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    server = make_server(
        "127.0.0.1",
        int(sys.argv[1]) if len(sys.argv) > 1 else 0,
        DomainDispatcherApplication(create_backend_app),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
