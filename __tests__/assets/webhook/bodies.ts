/**
 * Bodies that the webhook may be sent, and what must become of each. The unit tests run them on the rehearsal's
 * engine, `.ci/velocity17.sh` on Apache Velocity 1.7.
 */

/** The repository that the templates are rendered for. */
export const SOURCE = {
  space: "example",
  domain: "backlog.jp",
  projectKey: "AST",
  repository: "pwa",
} as const;

export interface Push {
  readonly ref: string;
  readonly before: string;
  readonly after: string;
}

/** `refused`: the template prints what AWS refuses (400). `error`: the template cannot be evaluated (500). */
export type Outcome = { readonly push: Push } | "refused" | "error";

export interface BodyCase {
  readonly name: string;
  readonly body: string;
  readonly outcome: Outcome;
}

const URL = "https://example.backlog.jp/git/AST/pwa";
const BEFORE = "cd33ef0e846548e02cb2ba1e737c401da3f09235";
const AFTER = "dfac5de786839179987b7f7207e54936048b41ce";
const ZEROS = "0".repeat(40);

/** A push as Backlog sends it; the key order is that of a captured one. */
function document(changes: Readonly<Record<string, unknown>> = {}) {
  return {
    revisions: [
      {
        timestamp: "2020-02-05T17:02:51+09:00",
        url: `${URL}/commit/${AFTER}`,
        id: AFTER,
        message: "test",
        modified: ["src/commons/constants.ts"],
        author: { name: "author", email: "author@example.com" },
      },
    ],
    repository: { name: "pwa", description: null, url: URL },
    ref: "refs/heads/test/webhook",
    after: AFTER,
    before: BEFORE,
    ...changes,
  };
}

/** The form encoding: a space is `+`. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/%20/g, "+");
}

function bodyOf(json: unknown): string {
  return `payload=${encode(typeof json === "string" ? json : JSON.stringify(json))}`;
}

const GOOD = bodyOf(document());
const push = (changes: Partial<Push> = {}): Outcome => ({
  push: { ref: "refs/heads/test/webhook", before: BEFORE, after: AFTER, ...changes },
});

/** What an attacker would put where somebody forgot to quote. */
const HOSTILE_TEXT =
  '"\'`$(id)${x}%{y}$!{z}#set($x=1)#if(true)#end##<ref>\\"}],"ref":"refs/heads/evil"\r\n\t\u0000\u2028&payload=x';

const accepted: BodyCase[] = [
  {
    // Exactly as it came over the wire.
    name: "the captured one",
    body: "payload=%7B%22revisions%22%3A%5B%7B%22timestamp%22%3A%222020-02-05T17%3A02%3A51%2B09%3A00%22%2C%22url%22%3A%22https%3A%2F%2Fexample.backlog.jp%2Fgit%2FAST%2Fpwa%2Fcommit%2Fdfac5de786839179987b7f7207e54936048b41ce%22%2C%22id%22%3A%22dfac5de786839179987b7f7207e54936048b41ce%22%2C%22message%22%3A%22test%22%2C%22modified%22%3A%5B%22src%2Fcommons%2Fconstants.ts%22%5D%2C%22author%22%3A%7B%22name%22%3A%22author%22%2C%22email%22%3A%22author%40example.com%22%7D%7D%5D%2C%22repository%22%3A%7B%22name%22%3A%22pwa%22%2C%22description%22%3Anull%2C%22url%22%3A%22https%3A%2F%2Fexample.backlog.jp%2Fgit%2FAST%2Fpwa%22%7D%2C%22ref%22%3A%22refs%2Fheads%2Ftest%2Fwebhook%22%2C%22after%22%3A%22dfac5de786839179987b7f7207e54936048b41ce%22%2C%22before%22%3A%22cd33ef0e846548e02cb2ba1e737c401da3f09235%22%7D",
    outcome: push(),
  },
  {
    name: "lower-case escapes",
    body: GOOD.replace(/%[0-9A-F]{2}/g, (e) => e.toLowerCase()),
    outcome: push(),
  },
  {
    name: "nothing escaped that need not be",
    body: `payload=${JSON.stringify(document())}`,
    outcome: push(),
  },
  {
    name: "plus signs for spaces",
    body: bodyOf(JSON.stringify(document(), null, 2)),
    outcome: push(),
  },
  {
    name: "percent signs for spaces and plus signs",
    body: `payload=${encodeURIComponent(JSON.stringify(document({ comment: "a b + c" })))}`,
    outcome: push(),
  },
  {
    name: "other keys first, and keys that nobody knows",
    body: bodyOf(Object.fromEntries(Object.entries(document({ extra: { ref: "x", after: 1 } })).reverse())),
    outcome: push(),
  },
  { name: "no revisions", body: bodyOf(document({ revisions: undefined })), outcome: push() },
  { name: "an empty list of revisions", body: bodyOf(document({ revisions: [] })), outcome: push() },
  {
    name: "a message and an author in Japanese",
    body: bodyOf(document({ revisions: [{ message: "修正:  表示", author: { name: "山田 太郎 😀" } }] })),
    outcome: push(),
  },
  {
    name: "hostile text in every field that is not used",
    body: bodyOf(
      document({
        revisions: [
          {
            id: HOSTILE_TEXT,
            url: HOSTILE_TEXT,
            message: HOSTILE_TEXT,
            timestamp: HOSTILE_TEXT,
            author: { name: HOSTILE_TEXT, email: HOSTILE_TEXT },
            added: [HOSTILE_TEXT],
            removed: [HOSTILE_TEXT],
            modified: [HOSTILE_TEXT],
          },
        ],
        repository: { name: HOSTILE_TEXT, description: HOSTILE_TEXT, url: URL },
      }),
    ),
    outcome: push(),
  },
  {
    name: "a branch's creation",
    body: bodyOf(document({ before: ZEROS })),
    outcome: push({ before: ZEROS }),
  },
  { name: "a branch's deletion", body: bodyOf(document({ after: ZEROS })), outcome: push({ after: ZEROS }) },
  {
    name: "bytes that are no UTF-8 in a field that is not used",
    body: GOOD.replace("test%22%2C", "%ff%fe%e3%81%22%2C"),
    outcome: push(),
  },
  {
    name: "the parameter after others",
    body: `a=1&b=%zz&${GOOD}&c=2`,
    outcome: push(),
  },
  {
    name: "a second payload that is another push",
    body: `${GOOD}&${bodyOf(document({ ref: "refs/heads/b" }))}`,
    outcome: push(),
  },
  { name: "xpayload before it", body: `xpayload=1&${GOOD}`, outcome: push() },
  { name: "payloadx before it", body: `payloadx=1&${GOOD}`, outcome: push() },
  {
    name: "ten thousand parameters before and after it",
    body: `${"a=1&".repeat(10_000)}${GOOD}${"&b=2".repeat(10_000)}`,
    outcome: push(),
  },
  {
    name: "a megabyte of revisions",
    body: bodyOf(document({ revisions: new Array(5000).fill({ id: AFTER, message: "x".repeat(150) }) })),
    outcome: push(),
  },
  {
    name: "a megabyte of escapes",
    body: bodyOf(document({ revisions: [{ message: "é".repeat(170_000) }] })),
    outcome: push(),
  },
  ...[
    "refs/heads/main",
    "refs/heads/a",
    "refs/heads/機能/ログイン画面",
    "refs/heads/ドキュメント・更新（その２）",
    "refs/heads/😀",
    "refs/heads/feature/ABC-123_x.y",
    "refs/heads/@",
    "refs/heads/a@b",
    "refs/heads/-x",
    "refs/heads/x.locked",
    "refs/heads/a.lock.b",
    "refs/heads/it's",
    "refs/heads/$(id)",
    "refs/heads/`id`",
    "refs/heads/${x}",
    "refs/heads/$!{ref}",
    "refs/heads/$ref",
    "refs/heads/$util.urlDecode('x')",
    "refs/heads/%{x}",
    "refs/heads/#set($x=1)",
    "refs/heads/#end",
    "refs/heads/##",
    "refs/heads/<ref>",
    "refs/heads/a;b|c&d!e",
    "refs/heads/a%41+b=c,d",
    "refs/heads/{a}]",
    "refs/heads/\u00a0\u200b",
    "refs/tags/v1.0.0",
    "refs/tags/公開",
    `refs/heads/${"x".repeat(240)}`,
    `refs/heads/${"😀".repeat(240)}`,
  ].map((ref) => ({
    name: `the ref ${ref.slice(0, 40)}`,
    body: bodyOf(document({ ref })),
    outcome: push({ ref }),
  })),
];

const refusedRefs: BodyCase[] = [
  "",
  "main",
  "HEAD",
  "heads/main",
  "refs/heads/",
  "refs/heads",
  "refs/tags/",
  "refs/notes/commits",
  "refs/pull/1/head",
  "REFS/HEADS/main",
  " refs/heads/main",
  "refs/heads/main ",
  "refs/heads/main\n",
  "\nrefs/heads/main",
  "refs/heads/a b",
  "refs/heads/a\tb",
  "refs/heads/a\u0000b",
  "refs/heads/a\u001fb",
  "refs/heads/a\u007fb",
  "refs/heads/a\u009bb",
  'refs/heads/a"b',
  'refs/heads/x","after":"y',
  "refs/heads/a\\b",
  "refs/heads/a\\u0022b",
  "refs/heads/a~1",
  "refs/heads/a^",
  "refs/heads/a:b",
  "refs/heads/a?",
  "refs/heads/*",
  "refs/heads/a[b]",
  "refs/heads/a\ufffdb",
  "refs/heads/a\ud800b",
  "refs/heads/a\udc00b",
  "refs/heads/\udc00\ud800",
  "refs/heads/a..b",
  "refs/heads/../../x",
  "refs/heads/a@{1}",
  "refs/heads/a//b",
  "refs/heads//a",
  "refs/heads/a/",
  "refs/heads/a.",
  "refs/heads/.a",
  "refs/heads/a/.b",
  "refs/heads/a.lock",
  "refs/heads/a.lock/b",
  "refs/heads/.lock",
  "refs/heads/${jndi:ldap://x/a}",
  `refs/heads/${"x".repeat(241)}`,
  `refs/heads/${"😀".repeat(241)}`,
  `refs/heads/${"a/".repeat(200_000)}`,
  `refs/heads/${"a".repeat(1_000_000)}`,
  `refs/heads/${"refs/heads/".repeat(50_000)}"`,
].map((ref) => ({
  name: `the ref ${JSON.stringify(ref).slice(0, 40)} of ${ref.length} characters`,
  body: bodyOf(document({ ref })),
  outcome: "refused",
}));

const WRONG_TYPES: readonly unknown[] = [
  null,
  true,
  7,
  1.5,
  [],
  ["x"],
  {},
  { url: URL },
  { ref: { ref: "x" } },
];
const wrongTypes: BodyCase[] = ["ref", "before", "after", "repository"].flatMap((member) => [
  {
    name: `no ${member}`,
    body: bodyOf(document({ [member]: undefined })),
    outcome: "refused" as const,
  },
  ...WRONG_TYPES.filter(
    (value) => member !== "repository" || JSON.stringify(value) !== JSON.stringify({ url: URL }),
  ).map((value) => ({
    name: `${member} is ${JSON.stringify(value)}`,
    body: bodyOf(document({ [member]: value })),
    outcome: "refused" as const,
  })),
]);

const wrongUrls: BodyCase[] = [null, true, 7, [], [URL], {}, { url: URL }].map((url) => ({
  name: `repository.url is ${JSON.stringify(url)}`,
  body: bodyOf(document({ repository: { url } })),
  outcome: "refused",
}));

const refusedCommits: BodyCase[] = [
  "",
  AFTER.toUpperCase(),
  AFTER.slice(1),
  `${AFTER}0`,
  ` ${AFTER}`,
  `${AFTER}\n`,
  `g${AFTER.slice(1)}`,
  `０${AFTER.slice(1)}`,
  "a".repeat(64),
  "a".repeat(1_000_000),
  '"}]}',
].flatMap((commit) =>
  ["before", "after"].map((member) => ({
    name: `${member} is ${JSON.stringify(commit).slice(0, 50)}`,
    body: bodyOf(document({ [member]: commit })),
    outcome: "refused" as const,
  })),
);

const refusedRepositories: BodyCase[] = [
  "",
  `${URL}/`,
  `${URL}.git`,
  `${URL}2`,
  ` ${URL}`,
  `${URL}\n`,
  URL.replace("https", "http"),
  URL.replace("AST", "ast"),
  URL.replace("AST", "AST2"),
  URL.replace("pwa", "other"),
  URL.replace("example", "exemple"),
  URL.replace(".jp", ".com"),
  URL.replace("example.backlog.jp", "example.backlog.jp.evil.example"),
  `https://evil.example/?${URL}`,
  URL.replace(/\./g, "x"),
].map((url) => ({
  name: `repository.url is ${JSON.stringify(url)}`,
  body: bodyOf(document({ repository: { url } })),
  outcome: "refused",
}));

const refusedBodies: BodyCase[] = [
  { name: "nothing", body: "", outcome: "refused" },
  { name: "an empty payload", body: "payload=", outcome: "refused" },
  { name: "an empty payload, then a good one", body: `payload=&${GOOD}`, outcome: "refused" },
  { name: "a payload without a value", body: "payload", outcome: "refused" },
  { name: "only xpayload", body: `x${GOOD}`, outcome: "refused" },
  { name: "only Payload", body: GOOD.replace("payload", "Payload"), outcome: "refused" },
  { name: "a name with escapes", body: GOOD.replace("payload", "%70ayload"), outcome: "refused" },
  { name: "payload in a value", body: `a=b;${GOOD}`, outcome: "refused" },
  { name: "a space before the name", body: ` ${GOOD}`, outcome: "refused" },
  { name: "JSON without a form", body: JSON.stringify(document()), outcome: "refused" },
  { name: "separators alone", body: "&".repeat(100_000), outcome: "refused" },
  { name: "only other parameters", body: "a=1&b=2", outcome: "refused" },
  { name: "a form inside the parameter", body: bodyOf({ payload: document() }), outcome: "refused" },
  { name: "a list around the push", body: bodyOf([document()]), outcome: "refused" },
  { name: "an empty object", body: bodyOf({}), outcome: "refused" },
  { name: "null", body: bodyOf("null"), outcome: "refused" },
  { name: "true", body: bodyOf("true"), outcome: "refused" },
  { name: "a number", body: bodyOf("7"), outcome: "refused" },
  { name: "a string of JSON", body: bodyOf('"refs/heads/main"'), outcome: "refused" },
  {
    name: "a commit id of digits that is a number",
    body: bodyOf(JSON.stringify(document({ after: "DIGITS" })).replace('"DIGITS"', "1".repeat(40))),
    outcome: "refused",
  },
  {
    name: "members of JavaScript objects",
    body: bodyOf('{"__proto__":{"ref":"refs/heads/x"},"constructor":{}}'),
    outcome: "refused",
  },
];

const errors: BodyCase[] = [
  { name: "no JSON", body: "payload=%7Bnot+json", outcome: "error" },
  { name: "JSON that ends too early", body: GOOD.slice(0, -3), outcome: "error" },
  { name: "two documents", body: bodyOf("{}{}"), outcome: "error" },
  { name: "spaces alone", body: "payload=+++", outcome: "error" },
  { name: "a percent sign at the end", body: `${GOOD}%`, outcome: "error" },
  { name: "half an escape at the end", body: `${GOOD}%2`, outcome: "error" },
  { name: "an escape that is no number", body: GOOD.replace("%22", "%zz"), outcome: "error" },
  { name: "percent signs alone", body: `payload=${"%".repeat(100_000)}`, outcome: "error" },
  { name: "encoded twice", body: `payload=${encodeURIComponent(GOOD.slice(8))}`, outcome: "error" },
  { name: "a form encoded as a whole", body: `payload=${encodeURIComponent(GOOD)}`, outcome: "error" },
];

export const BODIES: readonly BodyCase[] = [
  ...accepted,
  ...refusedRefs,
  ...wrongTypes,
  ...wrongUrls,
  ...refusedCommits,
  ...refusedRepositories,
  ...refusedBodies,
  ...errors,
];
