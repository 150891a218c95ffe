import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Containers } from "../../../rehearsal/data-plane/containers";

/** Stands for the docker command: writes down how it was called, and answers what the test has prepared. */
const DOCKER = `#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$FOLDER/calls"
[[ $1 == --config ]] && shift 2
case $1 in
  login) cat >"$FOLDER/password" ;;
  run) env >"$FOLDER/env"; echo abc123 ;;
  port) cat "$FOLDER/ports" || exit 1 ;;
  logs) echo 'cannot open /data' >&2 ;;
  rm | stop) echo "Error: No such container: $2" >&2; exit 1 ;;
  image | inspect) cat "$FOLDER/label" ;;
esac
`;

describe("Containers", () => {
  let folder: string;
  let containers: Containers;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "containers-"));
    const docker = join(folder, "docker");
    await writeFile(docker, DOCKER);
    await chmod(docker, 0o755);
    await writeFile(join(folder, "ports"), "127.0.0.1:32768\n");
    const env = { PATH: process.env.PATH, FOLDER: folder, DOCKER_HOST: "unix:///e.sock" };
    containers = new Containers({ docker, env, label: "rehearsal=1" });
  });

  afterEach(() => rm(folder, { recursive: true }));

  const read = (name: string) => readFile(join(folder, name), "utf8");

  it("starts a labelled container on loopback, and keeps values off the command line", async () => {
    const started = await containers.run({
      image: "app:1",
      env: { SECRET: "two\nlines", PATH: "/bin" },
      entryPoint: ["/serve", "--fast"],
      command: ["all"],
      ports: [8080],
      readOnly: true,
    });
    expect(started).toEqual({ id: "abc123", hostPorts: new Map([[8080, 32768]]) });
    const [run = ""] = (await read("calls")).split("\n");
    expect(run).toContain("--label rehearsal=1");
    expect(run).toContain("--publish 127.0.0.1::8080");
    expect(run).toContain("--read-only");
    expect(run).toContain("--env SECRET --env PATH=/bin");
    expect(run).toMatch(/--entrypoint \/serve app:1 --fast all$/);
    expect(await read("env")).toContain("SECRET=two\nlines");
    expect(await read("env")).toContain("DOCKER_HOST=unix:///e.sock");
  });

  it("says what a container printed that ended at once", async () => {
    await rm(join(folder, "ports"));
    await expect(containers.run({ image: "app:1", ports: [80] })).rejects.toThrow("cannot open /data");
    expect(await read("calls")).toContain("rm --force --volumes abc123");
  });

  it("takes it quietly when a container is gone already", async () => {
    await containers.stop("abc123", 1);
    await containers.remove("abc123");
  });

  test.each([
    ["true", true],
    ["false", false],
  ])("tells whether a container runs: %s", async (printed, expected) => {
    await writeFile(join(folder, "label"), `${printed}\n`);
    expect(await containers.isRunning("abc123")).toBe(expected);
    await rm(join(folder, "label"));
    expect(await containers.isRunning("abc123")).toBe(false);
  });

  it("logs in for one pull only, and hands the password over on standard input", async () => {
    await containers.pull("host/app:1", { registry: "host", username: "AWS", password: "pass" });
    const [login = "", pull = ""] = (await read("calls")).split("\n");
    expect(login).toMatch(/^--config \S+ login --username AWS --password-stdin host$/);
    expect(pull).toMatch(/^--config \S+ pull --quiet host\/app:1$/);
    expect(await read("password")).toBe("pass");
    await expect(readFile(join(login.split(" ")[1]!, "config.json"))).rejects.toThrow("ENOENT");
  });

  test.each([
    ["a".repeat(40), "a".repeat(40)],
    ["<no value>", undefined],
    ["", undefined],
  ])("reads the label %j of an image", async (printed, expected) => {
    await writeFile(join(folder, "label"), `${printed}\n`);
    expect(await containers.imageLabel("app:1", "revision")).toBe(expected);
  });
});
