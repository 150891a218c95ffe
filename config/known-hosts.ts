import { matching } from "./text";

/**
 * Whether an SSH public key is whole: fields with their lengths, from the first, the key's type, to the very end.
 * @see https://www.rfc-editor.org/rfc/rfc4253#section-6.6
 */
function isWholeKey(type: string, base64: string): boolean {
  const key = Buffer.from(base64, "base64");
  const fields: string[] = [];
  let at = 0;
  while (at + 4 <= key.length) {
    const start = at + 4;
    at = start + key.readUInt32BE(at);
    fields.push(key.toString("latin1", start, at));
  }
  return at === key.length && fields.length > 1 && fields[0] === type;
}

const FORM =
  /^[A-Za-z0-9.,[\]:*_-]+ (ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]+=*)(?: [^\p{Cc}$%]*)?$/u;

/** One line of known_hosts with a key that is whole: ssh itself passes over a damaged one in silence. */
export const knownHostsLine = matching(FORM, "a line of known_hosts: host, key type, key").refine((line) => {
  const [, type, key] = FORM.exec(line) ?? [];
  return type === undefined || key === undefined || isWholeKey(type, key);
}, "must have a whole key of the type that it names");

/** Whether a line of known_hosts names this host on SSH's own port. */
export function namesHost(line: string, host: string): boolean {
  return line.split(" ")[0]?.split(",").includes(host) ?? false;
}
