import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App, type TerraformStack } from "cdktf";
import { checkConfig } from "../../config/load-config";
import type { Config, ConfigInput } from "../../config/schema";
import shipped from "../../pipeline.config";
import { BacklogDockerBuild } from "../../stacks/backlog-docker-build";

/** What stands in JSON, as far as a test has to say. */
// biome-ignore lint/suspicious/noExplicitAny: a test reads into JSON of many shapes, and fails where it errs
export type Json = any;

/** A part of a configuration: what it names replaces the shipped example's, lists as a whole. */
export type Changes<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]?: Changes<T[K]> }
    : T;

function merge(base: Json, changes: Json): Json {
  const isRecord = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isRecord(base) || !isRecord(changes)) return changes;
  const keys = [...new Set([...Object.keys(base), ...Object.keys(changes)])];
  return Object.fromEntries(
    keys.map((key) => [key, key in changes ? merge(base[key], changes[key]) : base[key]]),
  );
}

/** The shipped configuration with changes, as people would write it. */
export function configInput(changes: Changes<ConfigInput> = {}): ConfigInput {
  return merge(shipped, changes);
}

/** The shipped configuration with changes, checked. */
export function config(changes: Changes<ConfigInput> = {}): Config {
  return checkConfig(configInput(changes), "test");
}

/** One resource or data source of a synthesised stack. */
export interface Block {
  /** Terraform address, `data.` in front of a data source's. */
  readonly address: string;
  readonly type: string;
  /** Ids of the constructs, below the stack: `service/load_balancer/production`. */
  readonly path: string;
  readonly body: Json;
}

/** A synthesised stack, as JSON. */
export class Synthesised {
  readonly blocks: Block[];

  constructor(readonly json: Json) {
    const of = (kind: "resource" | "data", prefix: string) =>
      Object.entries<Json>(json[kind] ?? {}).flatMap(([type, named]) =>
        Object.entries<Json>(named).map(([name, body]) => ({
          address: `${prefix}${type}.${name}`,
          type,
          path: body["//"].metadata.path
            .split("/")
            .slice(1)
            .join("/")
            .replace(/\/Default$/, ""),
          body,
        })),
      );
    this.blocks = [...of("resource", ""), ...of("data", "data.")];
  }

  /** All blocks of a type. */
  all(type: string): Block[] {
    return this.blocks.filter((block) => block.type === type);
  }

  /** The body of the one block of a type; with `path`, of the one whose path is that, or ends in it. */
  one(type: string, path = ""): Json {
    const all = this.all(type);
    const exact = all.filter((block) => block.path === path);
    const found =
      exact.length > 0 ? exact : all.filter((block) => `/${block.path}`.endsWith(path && `/${path}`));
    if (found.length !== 1) {
      throw new Error(
        `${found.length} blocks of ${type} ${path}, of: ${all.map((block) => block.path).join(", ")}`,
      );
    }
    return found[0]!.body;
  }

  /** The statements of a policy document, found by its path. */
  statements(path: string): Json[] {
    return this.one("aws_iam_policy_document", path).statement;
  }

  /** One statement of a policy document. */
  statement(path: string, sid: string): Json {
    const found = this.statements(path).filter((statement) => statement.sid === sid);
    if (found.length !== 1) throw new Error(`${found.length} statements ${sid} in ${path}`);
    return found[0];
  }
}

/** References as people say them, without the digits that make an address unique. */
export const readable = (text: string): string =>
  text
    .replace(/\$\{data\.aws_partition\.\w+\.partition\}/g, "<partition>")
    .replace(/\$\{data\.aws_caller_identity\.\w+\.account_id\}/g, "<account>")
    .replace(/\$\{([^{}]*)\}/g, "<$1>")
    .replace(/_[0-9A-F]{8}\b/g, "");

/** Synthesises what `build` makes, exactly as `cdktf synth` would write it. */
export function synthesiseWith(build: (app: App) => TerraformStack): Synthesised {
  const outdir = mkdtempSync(join(tmpdir(), "synthesised-"));
  try {
    const app = new App({ outdir });
    const stack = build(app);
    app.synth();
    return new Synthesised(
      JSON.parse(readFileSync(join(outdir, "stacks", stack.node.id, "cdk.tf.json"), "utf8")),
    );
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

const synthesised = new Map<string, Synthesised>();

/** Synthesises the stack for the shipped configuration with changes; once for the same changes, so nobody may write. */
export function synthesise(changes: Changes<ConfigInput> = {}): Synthesised {
  const key = JSON.stringify(changes);
  const stack = synthesised.get(key) ?? synthesiseWith((app) => new BacklogDockerBuild(app, config(changes)));
  synthesised.set(key, stack);
  return stack;
}
