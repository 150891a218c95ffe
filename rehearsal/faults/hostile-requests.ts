import { request } from "node:http";
import { SENDER_ADDRESS } from "../local-cloud";
import { expect, type Fault } from "./fault";
import type { Scene } from "./scene";

/** "10 MB": API Gateway's limit. */
const MAX_BYTES = 10 * 1024 * 1024;

const FORM = "application/x-www-form-urlencoded";

interface Attempt {
  readonly what: string;
  readonly expected: number;
  readonly from?: string;
  /** What is put behind the webhook's URL. */
  readonly suffix?: string;
  readonly type?: string;
  readonly body: string;
}

/** A push that would be taken, were it sent from the right place to the right one; of a repository given. */
function payload(scene: Scene, change: { space?: string; ref?: string; message?: string } = {}): string {
  const { backlog } = scene.config;
  const { space = backlog.space, ref = "refs/heads/main", message = "" } = change;
  const url = `https://${space}.${backlog.domain}/git/${backlog.projectKey}/${backlog.repository}`;
  const push = {
    ref,
    before: "1".repeat(40),
    after: "2".repeat(40),
    revisions: [{ message }],
    repository: { url },
  };
  return new URLSearchParams({ payload: JSON.stringify(push) }).toString();
}

function attempts(scene: Scene): Attempt[] {
  const good = payload(scene);
  return [
    { what: "a wrong address", expected: 403, from: "127.0.0.1", body: good },
    { what: "a wrong path", expected: 403, suffix: "x", body: good },
    { what: "another space's repository", expected: 400, body: payload(scene, { space: "other" }) },
    { what: "a quote in the ref", expected: 400, body: payload(scene, { ref: 'refs/heads/a","x":"' }) },
    { what: "no push", expected: 400, body: "payload=%7B%7D" },
    // The template has no way to catch it.
    { what: "no JSON", expected: 500, body: "payload=%7B" },
    { what: "another content type", expected: 415, type: "application/json", body: "{}" },
    {
      what: "just under 10 MB, of another repository",
      expected: 400,
      body: payload(scene, { space: "other", message: "x".repeat(MAX_BYTES - 1000) }),
    },
    { what: "11 MB", expected: 413, body: `payload=${"x".repeat(11 * 1024 * 1024)}` },
    {
      what: "5,000 parameters, and a push of another repository",
      expected: 400,
      body: `${"a=1&".repeat(5000)}${payload(scene, { space: "other" })}`,
    },
  ];
}

function post(
  url: string,
  { from = SENDER_ADDRESS, suffix = "", type = FORM, body }: Attempt,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": type, "Content-Length": Buffer.byteLength(body) };
    const outgoing = request(`${url}${suffix}`, {
      method: "POST",
      localAddress: from,
      agent: false,
      headers,
    });
    outgoing.on("response", (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** Begins a request whose body never ends. */
function dawdle(scene: Scene, url: string): void {
  const headers = { "Content-Type": FORM, "Content-Length": 1000 };
  const outgoing = request(url, { method: "POST", localAddress: SENDER_ADDRESS, agent: false, headers });
  outgoing.on("error", () => {});
  outgoing.write("payload=");
  scene.restoring(() => outgoing.destroy());
}

/** Who should not be let in. */
export const HOSTILE_REQUESTS: readonly Fault[] = [
  {
    id: "13a",
    name: "requests that are no push of Backlog's",
    guards: "the resource policy, the secret path, and the checks of the mapping template",
    async play(scene) {
      const url = scene.cloud.webhookUrl(scene.outputs.webhook_url ?? "");
      dawdle(scene, url);
      const wrong: string[] = [];
      const all = attempts(scene);
      for (const attempt of all) {
        const status = await post(url, attempt);
        if (status !== attempt.expected)
          wrong.push(`${attempt.what}: ${status} instead of ${attempt.expected}`);
      }
      expect(wrong.length === 0, wrong.join("; "));
      await scene.alarms(["webhook-4xx"]);
      const before = scene.happened("filtered").length + scene.happened("building").length;
      expect(before === 0, "something of it came to the bus or to a build");
      const push = await scene.push(scene.sideBranch());
      await scene.endsAs("image only", push);
      return `${all.length} refused with 4xx (what is no JSON with 500), alarm, nothing came of them; a push beside an endless body was built`;
    },
  },
  {
    id: "13b",
    name: "a Dockerfile looks for the SSH key and the build's environment",
    guards: "no step has the key in its environment, and docker build gets none of it",
    async play(scene) {
      const { path, text } = scene.dockerfile;
      const spy = [
        "ARG GIT_SSH_KEY",
        "ARG AWS_SECRET_ACCESS_KEY",
        'RUN echo "key: [$GIT_SSH_KEY] secret: [$AWS_SECRET_ACCESS_KEY]"; env | sort; ' +
          "for f in /proc/[0-9]*/environ; do tr '\\0' '\\n' <$f; done; ls -A /root /run /tmp; echo looked everywhere",
      ];
      const push = await scene.push(scene.sideBranch(), { [path]: `${text}\n${spy.join("\n")}\n` });
      await scene.endsAs("image only", push);
      const log = await scene.buildLog();
      expect(log.includes("key: [] secret: []"), "the Dockerfile's step did not run, or was given a secret");
      const lines = log.split("\n").filter((line) => /^#\d+ \d/.test(line));
      expect(
        lines.some((line) => line.endsWith("looked everywhere")),
        "the Dockerfile's step did not end",
      );
      const found = lines.filter((line) =>
        /PRIVATE KEY|GIT_SSH_KEY=|AWS_\w+=|SSH_AUTH_SOCK|\*\*\*/.test(line),
      );
      expect(found.length === 0, `the Dockerfile saw: ${found.join("; ")}`);
      return "it saw neither";
    },
  },
];
