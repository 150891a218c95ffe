import { utils } from "ssh2";
import { generateKeyPair } from "../../../rehearsal/backlog/key-pair";

describe("generateKeyPair", () => {
  test("makes another pair when ssh2 makes one that cannot be read", () => {
    const good = utils.generateKeyPairSync("ed25519");
    const made = [
      { private: "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----", public: "" },
    ];
    const pair = generateKeyPair("", () => made.pop() ?? good);
    expect(pair).toBe(good);
  });

  test("makes keys that can be read", () => {
    const { private: text } = generateKeyPair("somebody");
    expect(utils.parseKey(text)).toMatchObject({ type: "ssh-ed25519" });
  });
});
