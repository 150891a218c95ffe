import { synthesise } from "../support/stack";

describe("SourceCredentials", () => {
  test("makes an ed25519 key, or one of RSA with 4096 bits", () => {
    expect(synthesise().one("tls_private_key")).toMatchObject({ algorithm: "ED25519" });
    expect(synthesise().one("tls_private_key")).not.toHaveProperty("rsa_bits");
    const rsa = synthesise({ backlog: { sshKey: { algorithm: "RSA" } } });
    expect(rsa.one("tls_private_key")).toMatchObject({ algorithm: "RSA", rsa_bits: 4096 });
  });

  test.each([
    [undefined, ".keys/backlog-cicd.pub"],
    ["keys/mine.pub", "keys/mine.pub"],
  ])("writes the public half beside the project (%s)", (publicKeyFile, written) => {
    const stack = synthesise({ backlog: { sshKey: publicKeyFile ? { publicKeyFile } : {} } });
    expect(stack.one("local_file")).toMatchObject({
      filename: `../../../${written}`,
      file_permission: "0600",
      directory_permission: "0700",
      content: expect.stringMatching(/^\$\{tls_private_key\.\w+\.public_key_openssh\}$/),
    });
    expect(stack.json.output.public_key_file.value).toBe(written);
  });
});
