import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const DOCKER = join(__dirname, "..", "..", "assets", "application", "docker");
const dockerfile = readFileSync(join(DOCKER, "Dockerfile"), "utf8");

describe("the starter application", () => {
  test("starts from a registry that does not limit the builds of others", () => {
    expect(dockerfile.match(/^FROM .*$/gm)).toEqual(["FROM public.ecr.aws/docker/library/busybox:1.37.0"]);
  });

  test("has all files that its Dockerfile copies", () => {
    const sources = [...dockerfile.matchAll(/^COPY (\S+) /gm)].map(([, source]) => source!);
    expect(sources).toEqual(["serve.sh", "www/"]);
    for (const source of sources) {
      expect(existsSync(join(DOCKER, source))).toBe(true);
    }
  });

  test("shows a version that people can change", () => {
    expect(readFileSync(join(DOCKER, "www", "index.html"), "utf8")).toContain("<p>version 1</p>");
  });

  test("serves on the task definition's port as nobody, and stops when it is told to", async () => {
    const folder = mkdtempSync(join(tmpdir(), "application-test-"));
    const httpd = join(folder, "httpd");
    writeFileSync(httpd, '#!/bin/sh\necho "$*"\nexec sleep 60\n');
    chmodSync(httpd, 0o755);
    const server = spawn("sh", [join(DOCKER, "serve.sh")], {
      env: { PATH: `${folder}:${process.env.PATH}`, PORT: "8081" },
    });
    const commandLine = await new Promise<string>((resolve) =>
      server.stdout.once("data", (text: Buffer) => resolve(text.toString())),
    );
    expect(commandLine).toBe("-f -p 8081 -u 65534:65534 -h /www\n");
    const ended = new Promise((resolve) => server.once("close", resolve));
    server.kill("SIGTERM");
    // `close` comes only when httpd, which holds the same output, has ended too.
    await ended;
    rmSync(folder, { recursive: true });
  });
});
