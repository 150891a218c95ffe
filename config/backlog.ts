import { z } from "zod";
import { cidr, distinct, matching, wholeNumber } from "./text";

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
    /** Algorithm of a generated key. */
    algorithm: z.enum(["ED25519", "RSA"], 'must be "ED25519" or "RSA" (4096 bits)').optional(),
    /** Where the public half of a generated key is written (mode 0600), relative to the project; local state only. */
    publicKeyFile: matching(
      /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/,
      "a file relative to the project",
    ).optional(),
    /** A secret of your own in the form of `backlog_info` instead: then no key is generated and none is in the state. */
    secretArn: matching(
      /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+$/,
      "the full ARN of a secret",
    ).optional(),
  })
  .refine(
    (key) => key.secretArn === undefined || (key.algorithm === undefined && key.publicKeyFile === undefined),
    "must have either secretArn, or algorithm and publicKeyFile",
  )
  .prefault({});

/** The Backlog Git repository, and how builds reach it. */
export const backlogSchema = z
  .strictObject({
    /** Space id: the `example` of https://example.backlog.jp */
    space: matching(
      /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
      "a space id: lower-case letters, digits and hyphens",
    ),
    /** Domain of the space. */
    domain: z.enum(
      ["backlog.jp", "backlog.com", "backlogtool.com"],
      'must be "backlog.jp", "backlog.com" or "backlogtool.com"',
    ),
    /** Project key. */
    projectKey: matching(/^[A-Z][A-Z0-9_]{0,24}$/, "a project key: capitals, digits and underscores"),
    /** Name of the Git repository. */
    repository: matching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, "the name of a Git repository"),
    /** Lines of known_hosts for the space's Git host. Backlog publishes no host keys: fetch once, compare, pin. */
    knownHosts: z.array(
      matching(
        /^[A-Za-z0-9.,[\]:*_-]+ (ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+=*( [^\n\r$%]*)?$/,
        "a line of known_hosts: host, key type, key",
      ),
    ),
    /** Accept whatever host key answers, in each build anew. A choice that trades safety for convenience. */
    trustOnFirstUse: z.boolean("must be true or false").default(false),
    /** The key that builds fetch with: generated, or your own. */
    sshKey: sshKeySchema,
  })
  .superRefine((backlog, context) => {
    const host = `${backlog.space}.git.${backlog.domain}`;
    const named = backlog.knownHosts.some((line) => line.split(" ")[0]?.split(",").includes(host));
    if (!named && !backlog.trustOnFirstUse) {
      context.addIssue({
        code: "custom",
        path: ["knownHosts"],
        message: `must have a line for ${host}: run \`ssh-keyscan -t ed25519 ${host}\`, compare the key with what your own git shows, and paste the line (or choose trustOnFirstUse: true)`,
        input: backlog.knownHosts,
      });
    }
    if (backlog.knownHosts.join("\n").length > ENVIRONMENT_VARIABLE_MAX_LENGTH) {
      context.addIssue({
        code: "custom",
        path: ["knownHosts"],
        message: `must have at most ${ENVIRONMENT_VARIABLE_MAX_LENGTH} characters in all (CodeBuild's limit for a variable)`,
        input: backlog.knownHosts,
      });
    }
  });

/** The way in: who may call the webhook, and what happens to a push then. */
export const webhookSchema = z
  .strictObject({
    /** Networks that may call the webhook. */
    senderCidrs: distinct(cidr, 1, 100).default(BACKLOG_SENDER_CIDRS),
    /**
     * `bus`: through an event bus and a state machine that retries for hours; `direct`: API Gateway starts the
     * build itself (fewer parts; what cannot be started is answered 503, and Backlog retries a few times).
     */
    delivery: z.enum(["bus", "direct"], 'must be "bus" or "direct"').default("bus"),
    /** How long the bus keeps pushes for replay, in days. */
    archiveDays: wholeNumber(1, 3650).default(14),
    /**
     * Access log of the API (ids and status only). It needs a role in the account's API Gateway settings, of which
     * there is one per account and region: `existingAccountRole` when it is set already, `manageAccountRole` to set
     * it here (destroying the stack takes it away for every API of the region).
     */
    accessLog: z
      .enum(
        ["off", "existingAccountRole", "manageAccountRole"],
        'must be "off", "existingAccountRole" or "manageAccountRole"',
      )
      .default("off"),
    /** Requests per second, on average, before the answer is 503 (and Backlog retries). */
    rateLimit: wholeNumber(1, 10_000).default(20),
    /** Requests at one moment before the answer is 503. */
    burstLimit: wholeNumber(1, 5_000).default(100),
  })
  .prefault({});
