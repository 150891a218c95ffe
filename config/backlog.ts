import { z } from "zod";
import { whenWell } from "./cross-field";
import { knownHostsLine, namesHost } from "./known-hosts";
import { cidr, distinct, matching, projectPath, wholeNumber, yesOrNo } from "./text";

/**
 * Addresses that Backlog sends webhooks from, as last published (2023-09). The list changes without notice and
 * as a whole, so it is a setting; an outdated one fails closed: 403, and the alarm on 4xx.
 * @see https://support-ja.backlog.com/hc/ja/articles/360035645534
 */
export const BACKLOG_SENDER_CIDRS = [
  "54.64.128.240/32",
  "54.178.233.194/32",
  "13.112.1.142/32",
  "13.112.147.36/32",
  "54.238.175.47/32",
  "54.168.25.33/32",
  "52.192.156.153/32",
  "54.178.230.204/32",
  "52.197.88.78/32",
  "13.112.137.175/32",
  "34.211.15.3/32",
  "35.160.57.23/32",
  "54.68.48.106/32",
  "52.88.47.69/32",
  "52.68.247.253/32",
  "18.182.251.152/32",
];

/** The longest value CodeBuild accepts for an environment variable, in characters. */
export const ENVIRONMENT_VARIABLE_MAX_LENGTH = 4096;

const sshKeySchema = z
  .strictObject({
    algorithm: z
      .enum(["ED25519", "RSA"], 'must be "ED25519" or "RSA" (4096 bits)')
      .optional()
      .describe("Algorithm of a generated key; ED25519 without it."),
    publicKeyFile: projectPath("a file")
      .optional()
      .describe(
        "Where the public half of a generated key is written, with local state only; `.keys/<name>-<env>.pub` without it.",
      ),
    secretArn: matching(
      /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+$/,
      "the full ARN of a secret",
    )
      .optional()
      .describe(
        "A secret of your own in the form of `backlog_info`, instead of a generated key: then no key is in the state.",
      ),
  })
  .refine(
    (key) => key.secretArn === undefined || (key.algorithm === undefined && key.publicKeyFile === undefined),
    { error: "must have either secretArn, or algorithm and publicKeyFile", ...whenWell() },
  )
  .prefault({});

/** The Backlog Git repository, and how builds reach it. */
export const backlogSchema = z
  .strictObject({
    space: matching(
      /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
      "a space id: lower-case letters, digits and hyphens",
    ).describe("Space id: the `example` of https://example.backlog.jp"),
    domain: z
      .enum(
        ["backlog.jp", "backlog.com", "backlogtool.com"],
        'must be "backlog.jp", "backlog.com" or "backlogtool.com"',
      )
      .describe("Domain of the space."),
    projectKey: matching(
      /^[A-Z][A-Z0-9_]{0,24}$/,
      "a project key: capitals, digits and underscores",
    ).describe("Project key."),
    repository: matching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, "the name of a Git repository").describe(
      "Name of the Git repository.",
    ),
    knownHosts: z
      .array(knownHostsLine, "must be a list of lines of known_hosts")
      .default([])
      .describe(
        "Lines of known_hosts for the space's Git host. Backlog publishes no host keys: fetch once, compare, pin.",
      ),
    trustOnFirstUse: yesOrNo()
      .default(false)
      .describe(
        "Accept whatever host key answers, in each build anew, where `knownHosts` has none: convenient, and open to whoever sits in between.",
      ),
    sshKey: sshKeySchema,
  })
  .superRefine(
    ({ space, domain, knownHosts, trustOnFirstUse }, context) => {
      const host = `${space}.git.${domain}`;
      if (!trustOnFirstUse && !knownHosts.some((line) => namesHost(line, host))) {
        context.addIssue({
          code: "custom",
          path: ["knownHosts"],
          message: `must have a line for ${host}: run \`ssh-keyscan -t ed25519 ${host}\`, compare the key with what your own git shows, and paste the line (or choose trustOnFirstUse: true)`,
          input: knownHosts,
        });
      }
    },
    whenWell("space", "domain", "knownHosts", "trustOnFirstUse"),
  )
  .superRefine(({ knownHosts }, context) => {
    const { length } = knownHosts.join("\n");
    if (length > ENVIRONMENT_VARIABLE_MAX_LENGTH) {
      context.addIssue({
        code: "custom",
        path: ["knownHosts"],
        message: `must have at most ${ENVIRONMENT_VARIABLE_MAX_LENGTH} characters in all (CodeBuild's limit for a variable)`,
        input: length,
      });
    }
  }, whenWell("knownHosts"));

/** The way in: who may call the webhook, and what happens to a push then. */
export const webhookSchema = z
  .strictObject({
    senderCidrs: distinct(cidr, 1, 100, "networks")
      .default(BACKLOG_SENDER_CIDRS)
      .describe("Networks that may call the webhook; without it, what Backlog published last (2023-09)."),
    delivery: z
      .enum(["bus", "direct"], 'must be "bus" or "direct"')
      .default("bus")
      .describe(
        "`bus`: through an event bus and a state machine that retries for hours. `direct`: API Gateway starts the build itself (fewer parts; what cannot be started is answered 503, and Backlog retries a few times).",
      ),
    archiveDays: wholeNumber(1, 3650)
      .default(14)
      .describe("How long the bus keeps pushes for replay, in days."),
    accessLog: z
      .enum(
        ["off", "existingAccountRole", "manageAccountRole"],
        'must be "off", "existingAccountRole" or "manageAccountRole"',
      )
      .default("off")
      .describe(
        "Access log of the API (ids and status only). It needs a role in the account's API Gateway settings, one per account and region: `existingAccountRole` when it is set already, `manageAccountRole` to set it here (destroying the stack takes it away from every API of the region).",
      ),
    rateLimit: wholeNumber(1, 10_000)
      .default(20)
      .describe("Requests per second, on average, before the answer is 503 (and Backlog retries)."),
    burstLimit: wholeNumber(1, 5_000)
      .default(100)
      .describe("Requests at one moment before the answer is 503."),
  })
  .prefault({});
