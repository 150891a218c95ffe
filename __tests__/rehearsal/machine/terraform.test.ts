import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  compareVersions,
  configureTerraform,
  findMirror,
  findTerraform,
  MIRROR_VARIABLE,
  platform,
} from "../../../rehearsal/machine/terraform";

let folder: string;
let home: string;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "terraform-test-"));
  home = join(folder, "home/user");
  mkdirSync(home, { recursive: true });
  env = { HOME: home, PATH: join(folder, "bin") };
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function addProvider(mirror: string, version: string, name = "hashicorp/aws", on = platform()): void {
  mkdirSync(join(mirror, "registry.terraform.io", name, version, on), { recursive: true });
}

describe("findMirror", () => {
  const find = () => findMirror(env, "registry.terraform.io", folder);

  test("finds nothing where there is nothing", () => {
    expect(find()).toBeUndefined();
  });

  test.each([
    ["the user's plugins", "home/user/.terraform.d/plugins"],
    ["the user's data folder", "home/user/.local/share/terraform/plugins"],
    ["a folder of the user", "home/user/providers"],
    ["the machine's plugins", "usr/local/share/terraform/plugins"],
    ["a folder below /opt", "opt/any-name"],
  ])("finds %s", (_what, place) => {
    addProvider(join(folder, place), "6.1.0");
    expect(find()).toMatchObject({
      folder: join(folder, place),
      providers: [{ name: "hashicorp/aws", version: "6.1.0" }],
    });
  });

  test("takes the folder that the variable names before all others", () => {
    addProvider(join(folder, "opt/one"), "6.1.0");
    addProvider(join(folder, "named"), "5.1.0");
    env[MIRROR_VARIABLE] = join(folder, "named");
    expect(find()?.folder).toBe(join(folder, "named"));
  });

  test("says so when the folder that the variable names lacks the provider", () => {
    env[MIRROR_VARIABLE] = join(folder, "empty");
    expect(find).toThrow(
      `${MIRROR_VARIABLE} is ${join(folder, "empty")}, but there is no registry.terraform.io/hashicorp/aws/`,
    );
  });

  test("passes over a folder without the AWS provider, or with one for another machine", () => {
    addProvider(join(folder, "opt/a"), "1.0.0", "hashicorp/tls");
    addProvider(join(folder, "opt/b"), "5.1.0", "hashicorp/aws", "plan9_arm");
    addProvider(join(folder, "opt/c"), "5.2.0");
    expect(find()?.folder).toBe(join(folder, "opt/c"));
  });

  test("takes the newest version, by number, packed or not", () => {
    const mirror = join(folder, "opt/a");
    addProvider(mirror, "5.9.0");
    addProvider(mirror, "5.100.0");
    addProvider(mirror, "6.0.0-beta1", "hashicorp/tls");
    writeFileSync(
      join(mirror, `registry.terraform.io/hashicorp/tls/terraform-provider-tls_6.0.0_${platform()}.zip`),
      "",
    );
    expect(find()?.providers).toEqual([
      { name: "hashicorp/aws", version: "5.100.0" },
      { name: "hashicorp/tls", version: "6.0.0" },
    ]);
  });
});

describe("findTerraform", () => {
  function addProgram(name: string, version: string, title = "Terraform"): string {
    const file = join(folder, "bin", name);
    mkdirSync(join(folder, "bin"), { recursive: true });
    writeFileSync(
      file,
      `#!/bin/sh\n[ "$TF_CLI_CONFIG_FILE" = /dev/null ] || exit 1\ncase "$2" in\n-json) echo '{"terraform_version":"${version}"}' ;;\n*) echo '${title} v${version}' ;;\nesac\n`,
    );
    chmodSync(file, 0o755);
    return file;
  }

  test("finds Terraform, whatever its own configuration file is like", async () => {
    const binary = addProgram("terraform", "1.11.4");
    env.TF_CLI_CONFIG_FILE = "/nowhere";
    expect(await findTerraform(env)).toMatchObject({ binary, version: "1.11.4", kind: "terraform" });
  });

  test("takes OpenTofu where there is no Terraform, and knows it", async () => {
    const binary = addProgram("tofu", "1.8.0", "OpenTofu");
    expect(await findTerraform(env)).toMatchObject({ binary, kind: "opentofu" });
  });

  test("takes the program that TERRAFORM_BINARY_NAME names", async () => {
    addProgram("terraform", "1.11.4");
    const binary = addProgram("other", "1.9.0");
    expect(await findTerraform({ ...env, TERRAFORM_BINARY_NAME: "other" })).toMatchObject({ binary });
  });

  test("refuses an old version and says which one it was", async () => {
    const binary = addProgram("terraform", "1.5.7");
    await expect(findTerraform(env)).rejects.toThrow(`${binary} is 1.5.7, which is older than 1.6.0`);
  });

  test("says where to get one when there is none", async () => {
    await expect(findTerraform(env)).rejects.toThrow(/developer\.hashicorp\.com\/terraform\/install/);
  });
});

describe("configureTerraform", () => {
  const terraform = { binary: "/usr/bin/terraform", kind: "terraform", version: "1.11.4" } as const;

  test("takes what the mirror has from there only, and the rest from the registry", () => {
    const variables = configureTerraform(
      {
        ...terraform,
        mirror: {
          folder: "/mirror",
          registry: "registry.terraform.io",
          providers: [{ name: "hashicorp/aws", version: "5.100.0" }],
        },
      },
      { configuration: join(folder, "run"), cache: join(folder, "cache") },
    );
    const text = readFileSync(variables.TF_CLI_CONFIG_FILE!, "utf8");
    expect(text).toMatch(
      /filesystem_mirror \{\s+path\s+= "\/mirror"\s+include = \["registry\.terraform\.io\/hashicorp\/aws"\]/,
    );
    expect(text).toMatch(/direct \{\s+exclude = \["registry\.terraform\.io\/hashicorp\/aws"\]/);
    expect(text).toContain(`plugin_cache_dir = "${join(folder, "cache/terraform-providers")}"`);
  });

  test("leaves everything to the registry without a mirror", () => {
    const variables = configureTerraform(terraform, { configuration: folder, cache: folder });
    expect(readFileSync(variables.TF_CLI_CONFIG_FILE!, "utf8")).not.toContain("provider_installation");
  });
});

test.each([
  ["1.10.0", "1.9.9", 1],
  ["1.6.0-rc1", "1.6.0", -1],
  ["5.100.0", "5.100.0", 0],
  ["3.11.7", "3.9", 1],
])("%s compared with %s is %i", (a, b, sign) => {
  expect(Math.sign(compareVersions(a, b))).toBe(sign);
});
