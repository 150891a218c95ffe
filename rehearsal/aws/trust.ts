/**
 * The condition keys that a service sends when it assumes a role. There is no list of them at AWS: a trust policy
 * with a condition on a key that is not sent lets nobody in, and on AWS that shows only when the service is used.
 *
 * - CodeBuild: https://docs.aws.amazon.com/codebuild/latest/userguide/cross-service-confused-deputy-prevention.html
 * - EventBridge (the rule's ARN): https://docs.aws.amazon.com/eventbridge/latest/userguide/cross-service-confused-deputy-prevention.html
 * - ECS tasks: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
 * - Step Functions: https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html
 * - CodePipeline: https://docs.aws.amazon.com/codepipeline/latest/userguide/cross-service-confused-deputy-prevention.html
 * - API Gateway sends none (seen in the field: with a condition every call is answered 500)
 * - CodeDeploy: none is documented
 */
const SENT_KEYS: Readonly<Record<string, readonly ("aws:SourceAccount" | "aws:SourceArn")[]>> = {
  "apigateway.amazonaws.com": [],
  "codebuild.amazonaws.com": ["aws:SourceAccount", "aws:SourceArn"],
  "codedeploy.amazonaws.com": [],
  "codepipeline.amazonaws.com": ["aws:SourceAccount", "aws:SourceArn"],
  "ecs-tasks.amazonaws.com": ["aws:SourceAccount", "aws:SourceArn"],
  "events.amazonaws.com": ["aws:SourceAccount", "aws:SourceArn"],
  "states.amazonaws.com": ["aws:SourceAccount", "aws:SourceArn"],
};

/**
 * The context in which a role's trust policy is evaluated for a service.
 *
 * @throws Error for a service that the table does not have
 */
export function trustContext(
  service: string,
  source: { readonly arn?: string; readonly account?: string },
): Record<string, string> {
  const keys = Object.hasOwn(SENT_KEYS, service) ? SENT_KEYS[service] : undefined;
  if (!keys) throw new Error(`it is not known which trust condition keys ${service} sends`);
  const values = { "aws:SourceAccount": source.account, "aws:SourceArn": source.arn };
  return Object.fromEntries(keys.flatMap((key) => (values[key] === undefined ? [] : [[key, values[key]]])));
}
