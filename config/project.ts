import { z } from "zod";
import { whenWell } from "./cross-field";
import { distinct, matching, projectPath, region, relativePath } from "./text";

/**
 * Longest prefix: the load balancer and its target groups (`<prefix>-green`) may have 32 characters.
 * Every other name in AWS has more room; a test checks them all with a prefix of this length.
 */
export const PREFIX_MAX_LENGTH = 26;

// One hyphen at a time: ECR takes no two in a row.
const projectName = () =>
  matching(
    /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/,
    "lower-case letters, digits and single hyphens, beginning with a letter",
  );

/** Beginnings that AWS keeps for itself: load balancers, and buckets. */
const RESERVED_BEGINNINGS = ["internal-", "sthree-", "amzn-s3-demo-"];

/** What AWS leaves after the tags that this project sets by itself: Project and Name. */
const TAGS_MAX = 48;

const tagText = (what: string, max: number) =>
  matching(/^[\p{L}\p{Z}\p{N}_.:/=+@-]+$/u, `a tag's ${what}: letters, digits, spaces and _.:/=+@-`).max(
    max,
    `must have at most ${max} characters`,
  );

const tags = z
  .record(tagText("key", 128), tagText("value", 256), {
    error: ({ code }) =>
      code === "invalid_key"
        ? "must have a tag's key: up to 128 letters, digits, spaces and _.:/=+@-"
        : "must be an object of tags",
  })
  .superRefine((given, context) => {
    const fault = (message: string) => context.addIssue({ code: "custom", message, input: given });
    const keys = Object.keys(given).map((key) => key.toLowerCase());
    if (keys.length > TAGS_MAX) fault(`must have at most ${TAGS_MAX} tags`);
    if (keys.some((key) => key.startsWith("aws:"))) fault("must not use the reserved aws: keys");
    if (new Set(keys).size < keys.length || keys.some((key) => key === "project" && !("Project" in given))) {
      fault("must not have keys that differ in case alone, also from Project: IAM takes them for the same");
    }
  });

/** What the deployment is called, where it stands and what may be destroyed. */
export const projectSchema = z
  .strictObject({
    name: projectName().describe("First half of the prefix of every name in AWS."),
    env: projectName().describe(
      "Second half of the prefix, and part of the stack's id: another one for each configuration file.",
    ),
    region: region.describe("Where everything stands."),
    tags: tags.default({}).describe("Tags of every resource, beside `Project`."),
    removal: z
      .enum(["retain", "destroy"], 'must be "retain" or "destroy"')
      .default("retain")
      .describe(
        "What `cdktf destroy` may delete. `retain`: the load balancer is protected, the image repository and the buckets must be emptied first, the secret can be restored for 30 days. `destroy`: everything, at once.",
      ),
  })
  .superRefine(
    ({ name, env }, context) => {
      const prefix = `${name}-${env}`;
      if (prefix.length > PREFIX_MAX_LENGTH) {
        context.addIssue({
          code: "custom",
          message: `name and env together must have at most ${PREFIX_MAX_LENGTH - 1} characters (a load balancer's target group has 32 for "<name>-<env>-green")`,
          input: prefix,
        });
      }
      for (const reserved of RESERVED_BEGINNINGS.filter((beginning) => prefix.startsWith(beginning))) {
        context.addIssue({
          code: "custom",
          path: ["name"],
          message: `must not make names that begin with "${reserved}", which AWS reserves`,
          input: name,
        });
      }
    },
    whenWell("name", "env"),
  );

const bucketName = matching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "the name of an S3 bucket");

/** Where Terraform keeps its state. */
export const stateSchema = z
  .discriminatedUnion(
    "type",
    [
      z.strictObject({
        type: z.literal("local"),
        directory: projectPath("a folder").default(".state").describe("Folder of the state file."),
      }),
      z.strictObject({
        type: z.literal("s3"),
        bucket: bucketName.describe(
          "Bucket that exists already, with versioning. The lock is a file beside the state.",
        ),
        keyPrefix: relativePath("a key without leading slash")
          .default("backlog-container-pipeline")
          .describe("Folder in the bucket."),
        region: region.describe("The bucket's region."),
      }),
      z.strictObject({
        type: z.literal("cloud"),
        hostname: matching(/^[a-z0-9.-]+$/, "a host name")
          .default("app.terraform.io")
          .describe("Terraform Cloud, or an installation of your own."),
        organization: matching(/^[A-Za-z0-9_-]+$/, "the name of an organization").describe(
          "Your organization there.",
        ),
        workspace: matching(/^[A-Za-z0-9_-]+$/, "the name of a workspace").describe(
          "The workspace; another one for each configuration file.",
        ),
      }),
    ],
    'must have a type: "local", "s3" or "cloud"',
  )
  .default({ type: "local", directory: ".state" })
  .describe("Where Terraform keeps its state.");

/** Who is told when something fails. */
export const alertsSchema = z
  .strictObject({
    emails: distinct(z.email("must be an e-mail address"), 0, 20, "e-mail addresses")
      .default([])
      .describe("Who is told when something fails; AWS sends each a message to confirm once."),
  })
  .prefault({});
