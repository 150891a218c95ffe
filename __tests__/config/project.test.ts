import { PREFIX_MAX_LENGTH } from "../../config/project";
import { faultsWith } from "../support/faults";
import { config } from "../support/stack";

const NAME = "must be lower-case letters, digits and single hyphens, beginning with a letter";
const REGION = "must be an AWS region such as ap-northeast-1";
const TOO_LONG =
  '`project` name and env together must have at most 25 characters (a load balancer\'s target group has 32 for "<name>-<env>-green"), got: ';

describe("project", () => {
  test.each([
    ["name", "", `${NAME}, got: ""`],
    ["name", "Backlog", `${NAME}, got: "Backlog"`],
    ["name", "1st", `${NAME}, got: "1st"`],
    ["name", "end-", `${NAME}, got: "end-"`],
    ["name", "a--b", `${NAME}, got: "a--b"`],
    ["name", "a_b", `${NAME}, got: "a_b"`],
    ["name", "a\n", `${NAME}, got: "a\\n"`],
    ["name", "a${b}", `${NAME}, got: "a\${b}"`],
    ["name", 7, `${NAME}, got: 7`],
    ["env", ["cicd"], `${NAME}, got: ["cicd"]`],
    ["env", "../x", `${NAME}, got: "../x"`],
    ["region", "tokyo", `${REGION}, got: "tokyo"`],
    ["region", "ap-northeast-1a", `${REGION}, got: "ap-northeast-1a"`],
    ["removal", "keep", 'must be "retain" or "destroy", got: "keep"'],
    ["tags", ["a"], 'must be an object of tags, got: ["a"]'],
    [
      "tags",
      Object.fromEntries(Array.from({ length: 49 }, (_, i) => [`t${i}`, "v"])),
      expect.stringContaining("must have at most 48 tags, got: "),
    ],
    ["tags", { "AWS:x": "y" }, 'must not use the reserved aws: keys, got: {"AWS:x":"y"}'],
    [
      "tags",
      { team: "a", Team: "b" },
      'must not have keys that differ in case alone, also from Project: IAM takes them for the same, got: {"team":"a","Team":"b"}',
    ],
    [
      "tags",
      { project: "a" },
      'must not have keys that differ in case alone, also from Project: IAM takes them for the same, got: {"project":"a"}',
    ],
  ])("refuses %s %j", (setting, value, message) => {
    const faults = faultsWith({ [`project.${setting}`]: value });
    expect(faults).toHaveLength(1);
    expect(faults[0]!.replace(`\`project.${setting}\` `, "")).toEqual(message);
  });

  test.each([
    [{ a: 1 }, "`project.tags.a` must be a tag's value: letters, digits, spaces and _.:/=+@-, got: 1"],
    [{ a: "" }, '`project.tags.a` must be a tag\'s value: letters, digits, spaces and _.:/=+@-, got: ""'],
    [
      { a: "x".repeat(257) },
      expect.stringMatching(/^`project\.tags\.a` must have at most 256 characters, got: /),
    ],
    [{ a: "${b}" }, expect.stringMatching(/^`project\.tags\.a` must be a tag's value/)],
    [{ "%{a}": "b" }, expect.stringMatching(/^`project\.tags\.%\{a\}` must have a tag's key: up to 128 /)],
    [{ ["k".repeat(129)]: "b" }, expect.stringMatching(/must have a tag's key: up to 128 /)],
  ])("refuses the tags %j", (tags, message) => {
    expect(faultsWith({ "project.tags": tags })).toEqual([message]);
  });

  test("takes 48 tags, in any alphabet, and another value for Project", () => {
    const tags = Object.fromEntries(Array.from({ length: 46 }, (_, i) => [`t${i}`, "v"]));
    expect(faultsWith({ "project.tags": { ...tags, チーム: "開発 部", Project: "mine" } })).toEqual([]);
  });

  test("takes a prefix of exactly the longest length, and none longer", () => {
    const env = "e".repeat(PREFIX_MAX_LENGTH - 2);
    expect(faultsWith({ "project.name": "a", "project.env": env })).toEqual([]);
    expect(faultsWith({ "project.name": "ab", "project.env": env })).toEqual([`${TOO_LONG}"ab-${env}"`]);
  });

  test.each(["internal", "sthree", "amzn-s3-demo"])("refuses names that begin with %s", (name) => {
    expect(faultsWith({ "project.name": name })).toEqual([
      `\`project.name\` must not make names that begin with "${name}-", which AWS reserves, got: "${name}"`,
    ]);
    expect(faultsWith({ "project.name": `my-${name}` })).toEqual([]);
  });
});

describe("state", () => {
  const KIND = 'must have a type: "local", "s3" or "cloud"';
  const FOLDER = "`state.directory` must be a folder relative to the project, without ..";
  const s3 = { type: "s3", bucket: "states", region: "ap-northeast-1" };
  const cloud = { type: "cloud", organization: "acme", workspace: "pipeline" };

  test.each([
    ["local", `\`state\` ${KIND}, got: "local"`],
    [{}, `\`state.type\` ${KIND}, got: {}`],
    [{ type: "azure" }, `\`state.type\` ${KIND}, got: {"type":"azure"}`],
    [{ type: "local", directory: "/var/state" }, `${FOLDER}, got: "/var/state"`],
    [{ type: "local", directory: "../state" }, `${FOLDER}, got: "../state"`],
    [{ type: "local", directory: "a/../../b" }, `${FOLDER}, got: "a/../../b"`],
    [{ type: "local", directory: "./cdktf.out/x" }, `${FOLDER}, got: "./cdktf.out/x"`],
    [{ type: "local", directory: "${path.root}" }, `${FOLDER}, got: "\${path.root}"`],
    [
      { type: "local", directory: "cdktf.out/state" },
      '`state.directory` must not lie in cdktf.out: every synth clears it, got: "cdktf.out/state"',
    ],
    [{ type: "local", bucket: "b" }, "`state.bucket` is not a setting"],
    [{ ...s3, bucket: "B" }, '`state.bucket` must be the name of an S3 bucket, got: "B"'],
    [{ ...s3, bucket: undefined }, "`state.bucket` is missing: it must be the name of an S3 bucket"],
    [{ ...s3, region: 1 }, `\`state.region\` ${REGION}, got: 1`],
    [{ ...s3, keyPrefix: "/a" }, '`state.keyPrefix` must be a key without leading slash, got: "/a"'],
    [{ ...s3, keyPrefix: "a/../b" }, '`state.keyPrefix` must be a key without leading slash, got: "a/../b"'],
    [{ ...cloud, hostname: "a b" }, '`state.hostname` must be a host name, got: "a b"'],
    [
      { ...cloud, organization: "a/b" },
      '`state.organization` must be the name of an organization, got: "a/b"',
    ],
    [{ ...cloud, workspace: "" }, '`state.workspace` must be the name of a workspace, got: ""'],
  ])("refuses %j", (state, message) => {
    expect(faultsWith({ state })).toEqual([message]);
  });

  test("is a folder beside the project unless something else is said", () => {
    expect(config().state).toEqual({ type: "local", directory: ".state" });
    expect(config({ state: { type: "local" } }).state).toEqual({ type: "local", directory: ".state" });
    expect(faultsWith({ state: s3 })).toEqual([]);
    expect(faultsWith({ state: cloud })).toEqual([]);
  });
});

describe("alerts", () => {
  test.each([
    [["nobody"], '`alerts.emails[0]` must be an e-mail address, got: "nobody"'],
    [
      ["a@example.com", "${b}@example.com"],
      '`alerts.emails[1]` must be an e-mail address, got: "${b}@example.com"',
    ],
    ["a@example.com", '`alerts.emails` must be a list of e-mail addresses, 0 to 20, got: "a@example.com"'],
    [
      ["a@example.com", "a@example.com"],
      '`alerts.emails` must not name the same thing twice, got: ["a@example.com","a@example.com"]',
    ],
    [
      Array.from({ length: 21 }, (_, i) => `a${i}@example.com`),
      expect.stringMatching(/^`alerts\.emails` must have at most 20 entries, got: /),
    ],
  ])("refuses the emails %j", (emails, message) => {
    expect(faultsWith({ "alerts.emails": emails })).toEqual([message]);
  });
});
