import { BuildMachine } from "./build-machine";
import { FILES } from "./git-repository";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const OTHER = "0123456789ffffffffffffffffffffffffffffff";
const REPOSITORY = "127.0.0.1:5000/team/web";

describe("build-image.sh", () => {
  let machine: BuildMachine;

  beforeEach(() => {
    machine = new BuildMachine();
    machine.environment.GIT_COMMIT = COMMIT;
    machine.leave(Object.fromEntries(Object.entries(FILES).map(([name, text]) => [`source/${name}`, text])));
  });

  afterEach(() => machine.remove());

  function build(environment: Readonly<Record<string, string>> = {}) {
    Object.assign(machine.environment, environment);
    return machine.run("build-image.sh");
  }

  /** The calls that built something. */
  function builds(): string[] {
    return machine
      .noted("calls")
      .split("\n")
      .filter((call) => /^docker (buildx )?build /.test(call));
  }

  test("pushes an image with the commit's first ten digits for its tag and all of them in a label", async () => {
    const { status } = await build();
    expect(status).toBe(0);
    const digest = machine.noted("tags/0123456789").trim();
    expect(machine.noted(`images/${digest}`).trim()).toBe(COMMIT);
    expect(machine.read("image")).toBe(`${REPOSITORY}@${digest}\n`);
  });

  test("builds the configured Dockerfile, context and platform", async () => {
    await build({ DOCKERFILE: "docker/Dockerfile", DOCKER_CONTEXT: ".", DOCKER_PLATFORM: "linux/arm64" });
    expect(builds()).toHaveLength(1);
    expect(builds()[0]).toContain(
      `--platform linux/arm64 --file ${machine.workDir}/source/docker/Dockerfile`,
    );
    expect(builds()[0]).toMatch(new RegExp(`${machine.workDir}/source/\\.$`));
  });

  test("asks for BuildKit, and for an image instead of an index with provenance", async () => {
    await build();
    expect(machine.noted("environments")).toContain("\nDOCKER_BUILDKIT=1\n");
    expect(machine.noted("environments")).toContain("\nBUILDX_NO_DEFAULT_ATTESTATIONS=1\n");
  });

  test("does not let the key reach what it starts", async () => {
    await build({ GIT_SSH_KEY: machine.key });
    expect(builds()).toHaveLength(1);
    expect(machine.noted("environments")).not.toContain("GIT_SSH_KEY");
  });

  describe("when the tag is there already", () => {
    test("takes the image as it is when it was built from this commit", async () => {
      const digest = machine.arrangeImage("0123456789", COMMIT);
      const { status, output } = await build();
      expect(status).toBe(0);
      expect(output).toBe(`[image] 0123456789 was built before: ${digest}\n`);
      expect(machine.read("image")).toBe(`${REPOSITORY}@${digest}\n`);
      expect(builds()).toEqual([]);
    });

    test("fails when it was built from another commit", async () => {
      machine.arrangeImage("0123456789", OTHER);
      const { status, output } = await build();
      expect(status).toBe(1);
      expect(output).toContain(
        `error: the tag 0123456789 belongs to another commit, ${OTHER}, not to ${COMMIT}`,
      );
      expect(machine.has("image")).toBe(false);
    });

    test("fails when the image does not say of which commit it is", async () => {
      machine.arrangeImage("0123456789", "");
      const { status, output } = await build();
      expect(status).toBe(1);
      expect(output).toContain("unknown (no label org.opencontainers.image.revision)");
    });
  });

  describe("when another build pushes the tag meanwhile", () => {
    function meanwhile(revision: string) {
      machine.arrange(
        "before/push",
        `echo sha256:${"cd".repeat(32)} >"$STAND_INS/tags/0123456789"
         echo ${revision} >"$STAND_INS/images/sha256:${"cd".repeat(32)}"`,
      );
    }

    test("takes that image when it was built from the same commit", async () => {
      meanwhile(COMMIT);
      const { status, output } = await build();
      expect(status).toBe(0);
      expect(output).toContain("another build of this push was faster");
      expect(machine.read("image")).toBe(`${REPOSITORY}@sha256:${"cd".repeat(32)}\n`);
    });

    test("fails when it was built from another commit", async () => {
      meanwhile(OTHER);
      expect((await build()).status).toBe(1);
      expect(machine.has("image")).toBe(false);
    });
  });

  test.each([
    [
      "the Dockerfile",
      { DOCKERFILE: "Dockerfile" },
      "the commit has no file Dockerfile (setting build.dockerfile)",
    ],
    ["the context", { DOCKER_CONTEXT: "app" }, "the commit has no folder app (setting build.context)"],
  ])("names the setting when %s is missing", async (_, environment, message) => {
    const { status, output } = await build(environment);
    expect(status).toBe(1);
    expect(output).toContain(`[image] error: ${message}\noutcome: failed`);
    expect(machine.noted("calls")).toBe("");
  });

  test.each([
    ["the registry cannot be asked", "describe-images", "AccessDeniedException"],
    ["the registry lets nobody in", "get-login-password", "ExpiredTokenException"],
  ])("fails when %s", async (_, operation, code) => {
    machine.arrange(`fail/${operation}`, code);
    const { status, output } = await build();
    expect(status).toBe(1);
    expect(output).toContain(code);
    expect(builds()).toEqual([]);
  });

  test("fails when the push does", async () => {
    machine.arrange("fail/push", "");
    const { status, output } = await build();
    expect(status).toBe(1);
    expect(output).toContain(`error: the push to ${REPOSITORY} failed`);
  });

  test.each(["inline", "registry", "off"])("fails when the Dockerfile does (cache: %s)", async (cache) => {
    machine.leave({ "source/docker/Dockerfile": "FROM scratch\nRUN false\n" });
    const { status, output } = await build({
      BUILD_CACHE: cache,
      CACHE_REPOSITORY_URI: "127.0.0.1:5000/cache",
      BUILDKIT_IMAGE: "buildkit",
    });
    expect(status).toBe(1);
    expect(output).toContain("error: docker build failed");
    expect(machine.noted("tags/0123456789")).toBe("");
  });

  describe("with the inline cache", () => {
    const live = `${REPOSITORY}@sha256:${"ef".repeat(32)}`;

    test("starts from the image that is live now", async () => {
      machine.arrangeArtifact({ image: live });
      await build();
      expect(builds()).toEqual([
        expect.stringContaining(`--build-arg BUILDKIT_INLINE_CACHE=1 --cache-from ${live}`),
      ]);
    });

    test.each([
      ["nothing is live yet", () => undefined],
      ["the artifact does not name its image", (m: BuildMachine) => m.arrangeArtifact({ commit: OTHER })],
      ["the artifact cannot be read", (m: BuildMachine) => m.arrange("fail/head-object", "403")],
    ])("leaves one for the next build even when %s", async (_, arrange) => {
      arrange(machine);
      expect((await build()).status).toBe(0);
      expect(builds()).toEqual([expect.stringContaining("BUILDKIT_INLINE_CACHE=1")]);
      expect(builds()[0]).not.toContain("--cache-from");
    });

    test("builds without when the cache fails", async () => {
      machine.arrangeArtifact({ image: live });
      machine.arrange("fail/cache", "");
      const { status, output } = await build();
      expect(status).toBe(0);
      expect(output).toContain("the build with the inline cache failed, trying without");
      expect(builds()).toHaveLength(2);
      expect(builds()[1]).not.toContain("cache");
    });
  });

  describe("with a registry cache", () => {
    const environment = {
      BUILD_CACHE: "registry",
      CACHE_REPOSITORY_URI: "127.0.0.1:5000/team/cache",
      BUILDKIT_IMAGE: "public.ecr.aws/example/buildkit:1",
    };

    test("makes a builder from the configured image, and reads and writes the cache repository", async () => {
      expect((await build(environment)).status).toBe(0);
      expect(machine.noted("calls")).toContain("--driver-opt image=public.ecr.aws/example/buildkit:1");
      expect(builds()).toEqual([
        expect.stringContaining("--cache-from type=registry,ref=127.0.0.1:5000/team/cache:cache"),
      ]);
      expect(builds()[0]).toContain("ignore-error=true");
    });

    test.each([
      ["the builder cannot be had", "fail/builder"],
      ["the cache fails", "fail/cache"],
    ])("builds without when %s", async (_, failure) => {
      machine.arrange(failure, "");
      const { status } = await build(environment);
      expect(status).toBe(0);
      expect(builds().at(-1)).toMatch(/^docker build /);
      expect(builds().at(-1)).not.toContain("cache");
    });
  });

  test("builds without any cache when it is off", async () => {
    machine.arrangeArtifact({ image: `${REPOSITORY}@sha256:${"ef".repeat(32)}` });
    await build({ BUILD_CACHE: "off" });
    expect(builds()).toHaveLength(1);
    expect(builds()[0]).not.toMatch(/cache/i);
  });

  test("refuses a kind of cache that it does not know", async () => {
    const { status, output } = await build({ BUILD_CACHE: "yes" });
    expect(status).toBe(1);
    expect(output).toContain("error: BUILD_CACHE must be inline, registry or off, got: yes");
  });
});
