import { generateKeyPairSync } from "node:crypto";
import { generateKeyPair } from "../../../rehearsal/backlog/key-pair";
import { BuildMachine } from "./build-machine";
import { GitRepository, ZEROS } from "./git-repository";
import { GitServer, type GitServerOptions } from "./git-server";

const hostKey = generateKeyPair();
const userKey = generateKeyPair();

describe("fetch-commit.sh over SSH", () => {
  let machine: BuildMachine;
  let repository: GitRepository;
  let server: GitServer;
  let first: string;

  beforeEach(() => {
    machine = new BuildMachine();
    machine.key = userKey.private;
    repository = new GitRepository(machine.home);
    first = repository.commit("first");
    repository.push(first);
    machine.leave({ wanted: "" });
  });

  afterEach(async () => {
    await server.stop();
    machine.remove();
  });

  async function fetch(
    commit: string,
    environment: Readonly<Record<string, string>> = {},
    options: Partial<GitServerOptions> = {},
  ) {
    server = await GitServer.start({ hostKey, userKey, ...options });
    Object.assign(machine.environment, {
      GIT_REMOTE: server.url(repository.path),
      GIT_KNOWN_HOSTS: server.knownHost(hostKey),
      GIT_COMMIT: commit,
      GIT_BEFORE: ZEROS,
      ...environment,
    });
    return machine.run("fetch-commit.sh");
  }

  /** Agents that a key was given to and that still run. */
  async function agentsAlive(): Promise<string> {
    // The signal needs its moment.
    const wait = `for i in {1..50}; do
      alive=; while read -r id; do [[ -z $(tr -d '\\0' 2>/dev/null <"/proc/$id/cmdline") ]] || alive+=$id; done <"$STAND_INS/agents"
      [[ -n $alive ]] || exit 0; PATH=\${PATH#*:} sleep 0.1
    done; echo "$alive"`;
    return (await machine.bash(["-c", `{ ${wait}; } 2>/dev/null`])).output;
  }

  test("fetches the commit with the key from standard input, and ends the agent", async () => {
    const ending = await fetch(first);
    expect(ending).toEqual({ status: 0, output: `[fetch] checked out ${first}\n` });
    expect(machine.noted("agents")).toMatch(/^\d+\n$/);
    expect(await agentsAlive()).toBe("");
  });

  test("bears a key without its last line end", async () => {
    machine.key = userKey.private.trimEnd();
    expect((await fetch(first)).status).toBe(0);
  });

  test("leaves the key in no file", async () => {
    await fetch(first);
    const { output } = await machine.bash([
      "-c",
      'grep -rlF -- "$1" .; echo searched',
      "-",
      line(userKey.private),
    ]);
    expect(output).toBe("searched\n");
  });

  test("falls back to the branch's history when the server gives out no commit by its id", async () => {
    const second = repository.commit("second");
    const third = repository.commit("third");
    repository.push(third);
    const { output } = await fetch(second, { GIT_BEFORE: first }, { oldProtocol: true });
    expect(output).toContain(`checked out ${second}`);
    expect(machine.read("source/message.txt")).toBe("second");
  });

  test("ends as superseded when such a server's branch no longer holds the commit", async () => {
    const lost = repository.commit("lost");
    repository.push(lost);
    repository.reset(first);
    const second = repository.commit("second");
    repository.push(second);
    const { status, output } = await fetch(
      lost,
      { GIT_BEFORE: first, FETCH_ATTEMPTS: "2" },
      { oldProtocol: true },
    );
    expect(status).toBe(0);
    expect(output).toContain(`outcome: superseded by ${second.slice(0, 10)}`);
  });

  test("tries again when the connection is cut", async () => {
    const { status, output } = await fetch(first, {}, { cuts: 2 });
    expect(output).toMatch(/^\[fetch\] attempt 1: the server cannot be read: /);
    expect(output).toContain(`checked out ${first}`);
    expect(status).toBe(0);
  });

  test("fails at once, without a login, when the host key has changed", async () => {
    const { status, output } = await fetch(first, {}, { hostKey: generateKeyPair() });
    expect(status).toBe(1);
    expect(output).toContain("another host key than the one in backlog.knownHosts");
    expect(output).toContain("SHA256:");
    expect(machine.noted("sleeps")).toBe("");
    expect(server.logins).toBe(0);
  });

  test.each(["pinned", ""])("fails at once when no host key is pinned (check: %j)", async (check) => {
    const { status, output } = await fetch(first, { GIT_KNOWN_HOSTS: "", GIT_HOST_KEY_CHECK: check });
    expect(status).toBe(1);
    expect(output).toContain("error: backlog.knownHosts has no host key for ssh://example@127.0.0.1");
    expect(machine.noted("sleeps")).toBe("");
    expect(server.logins).toBe(0);
  });

  test("shows what it trusted on first use, ready to be pinned", async () => {
    const { status, output } = await fetch(first, { GIT_KNOWN_HOSTS: "", GIT_HOST_KEY_CHECK: "accept-new" });
    expect(status).toBe(0);
    expect(output).toMatch(/the host key was accepted unseen: 256 SHA256:\S+ /);
    expect(output).toContain(`pin it by these lines in backlog.knownHosts:\n${server.knownHost(hostKey)}\n`);
  });

  test("does not take another key for a pinned one, even with trust on first use", async () => {
    const { status } = await fetch(
      first,
      { GIT_HOST_KEY_CHECK: "accept-new" },
      { hostKey: generateKeyPair() },
    );
    expect(status).toBe(1);
    expect(server.logins).toBe(0);
  });

  test("fails at once when the server refuses the key", async () => {
    machine.key = generateKeyPair().private;
    const { status, output } = await fetch(first);
    expect(status).toBe(1);
    expect(output).toContain("refused the SSH key: register its public half");
    expect(machine.noted("sleeps")).toBe("");
    expect(await agentsAlive()).toBe("");
  });

  test("offers no other key than its own, whatever stands in the home folder", async () => {
    await fetch(first);
    const { output } = await machine.bash(["-c", "ssh -G -F work/ssh_config example.git.backlog.jp"]);
    expect(output.match(/^identityfile .*$/gm)).toEqual(["identityfile none"]);
  });

  const { private: key } = userKey;
  test.each([
    ["has Windows line ends", key.replace(/\n/g, "\r\n"), "it has Windows line ends (CRLF)"],
    ["is PKCS8", generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }), "PKCS8"],
    ["lost its line breaks", key.replace(/\n/g, " "), "its line breaks were lost"],
    ["is empty", "", "it is empty"],
    ["was cut", key.slice(0, key.length / 2), "it is damaged"],
  ])("says so when the key %s, without showing it", async (_, badKey, reason) => {
    machine.key = badKey.toString();
    const { status, output } = await fetch(first);
    expect(status).toBe(1);
    expect(output).toContain("error: ssh_key in the secret cannot be used: ");
    expect(output).toContain(reason);
    expect(output).not.toContain(line(key));
    expect(machine.noted("sleeps")).toBe("");
    expect(server.logins).toBe(0);
  });
});

/** A line of a key that no log may show. */
function line(key: string): string {
  return key.split("\n")[2]!;
}
