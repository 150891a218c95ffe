import { z } from "zod";
import { matching, plainText } from "./text";

/**
 * Longest prefix: the load balancer and its target groups (`<prefix>-green`) may have 32 characters.
 * Every other name in AWS has more room; a test checks them all with a prefix of this length.
 */
export const PREFIX_MAX_LENGTH = 26;

const NAME = /^[a-z]([a-z0-9-]*[a-z0-9])?$/;
const nameForm = "lower-case letters, digits and hyphens, beginning with a letter";

/** What the deployment is called, where it stands and what may be destroyed. */
export const projectSchema = z
  .strictObject({
    /** First half of the prefix of every name in AWS. */
    name: matching(NAME, nameForm),
    /** Second half of the prefix, and part of the stack's id: one for each configuration file. */
    env: matching(NAME, nameForm),
    /** AWS region. */
    region: matching(/^[a-z]{2}(-[a-z]+)+-\d$/, "an AWS region such as ap-northeast-1"),
    /** Tags of every resource. */
    tags: z
      .record(plainText(128), plainText(256))
      .refine((tags) => Object.keys(tags).length <= 50, "must have at most 50 tags")
      .refine(
        (tags) => !Object.keys(tags).some((key) => /^aws:/i.test(key)),
        "must not use the reserved aws: keys",
      )
      .default({}),
    /**
     * What `cdktf destroy` may delete. `retain`: the load balancer is protected, the image repository and the
     * bucket must be emptied first, the secret can be restored for 30 days. `destroy`: everything, at once.
     */
    removal: z.enum(["retain", "destroy"], 'must be "retain" or "destroy"').default("retain"),
  })
  .superRefine(({ name, env }, context) => {
    const prefix = `${name}-${env}`;
    if (prefix.length > PREFIX_MAX_LENGTH) {
      context.addIssue({
        code: "custom",
        message: `name and env together must have at most ${PREFIX_MAX_LENGTH - 1} characters (a load balancer's target group has 32 for "<name>-<env>-green")`,
        input: prefix,
      });
    }
    if (prefix.startsWith("internal-")) {
      context.addIssue({
        code: "custom",
        path: ["name"],
        message: 'must not begin with "internal-": AWS reserves such load balancer names',
        input: name,
      });
    }
  });

/** Where Terraform keeps its state. */
export const stateSchema = z
  .discriminatedUnion(
    "type",
    [
      z.strictObject({
        type: z.literal("local"),
        /** Folder, relative to the project. */
        directory: matching(
          /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/,
          "a folder relative to the project",
        ).default(".state"),
      }),
      z.strictObject({
        type: z.literal("s3"),
        /** Bucket that exists already; versioning on. The lock is a file beside the state. */
        bucket: matching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "the name of an S3 bucket"),
        /** Folder in the bucket. */
        keyPrefix: matching(/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/, "a key without leading slash").default(
          "backlog-container-pipeline",
        ),
        /** The bucket's region. */
        region: matching(/^[a-z]{2}(-[a-z]+)+-\d$/, "an AWS region such as ap-northeast-1"),
      }),
      z.strictObject({
        type: z.literal("cloud"),
        hostname: matching(/^[a-z0-9.-]+$/, "a host name").default("app.terraform.io"),
        organization: matching(/^[A-Za-z0-9_-]+$/, "the name of an organization"),
        /** Name of the workspace; one for each environment. */
        workspace: matching(/^[A-Za-z0-9_-]+$/, "the name of a workspace"),
      }),
    ],
    'must have a type: "local", "s3" or "cloud"',
  )
  .default({ type: "local", directory: ".state" });

/** Who is told when something fails. */
export const alertsSchema = z
  .strictObject({
    /** E-mail addresses; each gets a message from AWS that must be confirmed once. */
    emails: z.array(z.email("must be an e-mail address")).max(20, "must have at most 20 entries").default([]),
  })
  .prefault({});
