import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, checkConfig, loadConfig } from "../../config/load-config";
import { faultsIn } from "../support/faults";
import { configInput, type Json } from "../support/stack";

describe("checkConfig", () => {
  test("names all faults at once, each with its path, what is allowed and what came", () => {
    const { project, backlogDockerBuild, ...rest } = configInput();
    const input = {
      ...rest,
      projct: project,
      backlog: { ...rest.backlog, space: undefined, projectKey: "lower" },
      webhook: { senderCidrs: ["54.64.128.240"], secret: "x" },
      backlogDockerBuild: {
        ...backlogDockerBuild,
        service: { allowedCidrs: ["0.0.0.0/0"], port: "80", cpu: 1024 },
        network: { zones: ["a", "a"], publicSubnetCidrs: ["192.168.0.0/24", "192.168.0.128/25"] },
      },
    };
    expect(() => checkConfig(input, "mine.ts")).toThrow(
      new ConfigError(
        [
          "mine.ts has 10 faults:",
          "`project` is missing: it must be of type object",
          "`backlog.space` is missing: it must be a space id: lower-case letters, digits and hyphens",
          '`backlog.projectKey` must be a project key: capitals, digits and underscores, got: "lower"',
          '`webhook.senderCidrs[0]` must be an IPv4 network such as 192.168.0.0/24, without bits behind its prefix, got: "54.64.128.240"',
          "`webhook.secret` is not a setting",
          '`backlogDockerBuild.network.zones` must name two different zones, got: ["a","a"]',
          '`backlogDockerBuild.network.publicSubnetCidrs[1]` must not overlap with 192.168.0.0/24, got: "192.168.0.128/25"',
          '`backlogDockerBuild.service.port` must be a whole number from 1 to 65535, got: "80"',
          "`backlogDockerBuild.service.memory` must be one of 2048, 3072, 4096, 5120, 6144, 7168, 8192 with cpu 1024, got: 512",
          "`projct` is not a setting",
        ].join("\n  - "),
      ),
    );
  });

  test.each([
    [null, "the configuration must be of type object, got: null"],
    ["text", 'the configuration must be of type object, got: "text"'],
    [[], "the configuration must be of type object, got: []"],
  ])("refuses %j as a configuration", (input, fault) => {
    expect(faultsIn(input)).toEqual([fault]);
  });

  test("shortens long values", () => {
    const [fault] = faultsIn({ ...configInput(), state: "x".repeat(1000) });
    expect(fault!.length).toBeLessThan(200);
  });

  test("accepts what it answers: a checked configuration can be written down and read again", () => {
    const checked = checkConfig(configInput(), "test");
    expect(checkConfig(JSON.parse(JSON.stringify(checked)), "again")).toEqual(checked);
  });
});

describe("text that would mean something elsewhere", () => {
  const full = configInput({
    state: { type: "s3", bucket: "states", keyPrefix: "a", region: "ap-northeast-1" },
    alerts: { emails: ["a@example.com"] },
    backlog: {
      sshKey: { secretArn: "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:x-AbCdEf" },
    },
    backlogDockerBuild: {
      buildOnlyBranches: ["feature/*"],
      network: { s3EndpointBuckets: ["bucket"] },
      service: {
        testAllowedCidrs: ["10.0.0.0/8"],
        certificateArn: "arn:aws:acm:ap-northeast-1:123456789012:certificate/0a1b",
      },
    },
  });
  const others = [
    { ...full, state: { type: "local", directory: "a" } },
    { ...full, state: { type: "cloud", hostname: "a.example", organization: "b", workspace: "c" } },
    configInput({ backlog: { sshKey: { algorithm: "RSA", publicKeyFile: "a.pub" } } }),
  ];
  // With every default filled in: each text that a configuration can have stands in one of these.
  const inputs: Json[] = [full, ...others].map((input) => checkConfig(input, "test"));

  /** The input once for each text in it, with `suffix` behind that one. */
  const spoiled = (value: Json, suffix: string): { path: string; value: Json }[] =>
    typeof value === "string"
      ? [{ path: "", value: value + suffix }]
      : typeof value === "object"
        ? Object.entries(value).flatMap(([key, inner]) =>
            spoiled(inner, suffix).map((one) => ({
              path: `${key}.${one.path}`,
              value: Array.isArray(value)
                ? value.map((other, index) => (String(index) === key ? one.value : other))
                : { ...value, [key]: one.value },
            })),
          )
        : [];

  test.each(["${path.module}", "%{ if true }", "\n", "\0", '"', "\\"])(
    "is refused in every setting: %j",
    (suffix) => {
      const all = inputs.flatMap((input) => spoiled(input, suffix));
      expect(all.length).toBeGreaterThan(150);
      expect(all.filter(({ value }) => faultsIn(value).length === 0).map(({ path }) => path)).toEqual([]);
    },
  );
});

describe("loadConfig", () => {
  let folder: string;
  const before = process.env.PIPELINE_CONFIG;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "config-"));
    writeFileSync(join(folder, "nothing.ts"), "export const config = {};\n");
    writeFileSync(join(folder, "good.json"), JSON.stringify({ default: configInput() }));
    writeFileSync(join(folder, "bad.json"), JSON.stringify({ default: {} }));
  });
  afterEach(() => {
    if (before === undefined) delete process.env.PIPELINE_CONFIG;
    else process.env.PIPELINE_CONFIG = before;
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test("reads pipeline.config.ts when nothing else is said", () => {
    delete process.env.PIPELINE_CONFIG;
    expect(loadConfig()).toEqual(checkConfig(configInput(), "test"));
    process.env.PIPELINE_CONFIG = "";
    expect(loadConfig().project.name).toBe("backlog");
  });

  test("reads the file that PIPELINE_CONFIG names", () => {
    process.env.PIPELINE_CONFIG = join(folder, "good.json");
    expect(loadConfig().backlog.space).toBe("example");
  });

  test("says which file it has not found, also when it is a folder", () => {
    const message = (file: string) =>
      `there is no configuration file ${file}; the variable PIPELINE_CONFIG can name another`;
    expect(() => loadConfig("absent.ts")).toThrow(new ConfigError(message("absent.ts")));
    expect(() => loadConfig(folder)).toThrow(new ConfigError(message(folder)));
  });

  test("says when a file exports no configuration", () => {
    const file = join(folder, "nothing.ts");
    expect(() => loadConfig(file)).toThrow(
      new ConfigError(`${file} must \`export default defineConfig({ ... })\``),
    );
  });

  test("names the file that has the faults", () => {
    const file = join(folder, "bad.json");
    expect(() => loadConfig(file)).toThrow(`${file} has 3 faults:\n  - \`project\` is missing`);
  });
});
