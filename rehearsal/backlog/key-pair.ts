import { utils } from "ssh2";

/** An ed25519 key pair in OpenSSH's own form. */
export interface KeyPair {
  readonly private: string;
  readonly public: string;
}

/** Makes a key pair. One in 256 that ssh2 makes cannot be read, not even by itself: then it makes another. */
export function generateKeyPair(comment = "", make = utils.generateKeyPairSync): KeyPair {
  for (;;) {
    const pair = make("ed25519", { comment });
    if (!(utils.parseKey(pair.private) instanceof Error)) return pair;
  }
}
