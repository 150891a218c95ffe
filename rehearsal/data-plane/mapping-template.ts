import { fromJson, isMap, type JavaMap, type JavaValue, javaText, toJson } from "./java-values";
import { NotPlayed, TemplateError } from "./template-errors";
import { evaluate, type Tool } from "./velocity";

/**
 * A mapping template of API Gateway: Velocity with `$input`, `$util`, `$context` and `$stageVariables`.
 * Beliefs that no page settles: a JSONPath that leads nowhere gives null (field reports also know the empty
 * string); a body that is no JSON is, for `$input.path`, one string.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-override-request-response-parameters.html
 */
export interface TemplateInput {
  /** The body as text: of the request, or of the integration's answer. */
  readonly body: string;
  /** Members of `$context`, such as `requestId`. */
  readonly context: Readonly<Record<string, unknown>>;
  readonly stageVariables?: Readonly<Record<string, string>>;
  readonly parameters?: {
    readonly path?: Readonly<Record<string, string>>;
    readonly querystring?: Readonly<Record<string, string>>;
    readonly header?: Readonly<Record<string, string>>;
  };
}

export interface TemplateOutput {
  readonly output: string;
  /** What the template set `$context.responseOverride.status` to. */
  readonly responseStatus?: number;
}

/**
 * Evaluates a mapping template.
 * @throws TemplateError where API Gateway answers 500: a Java exception, an override set twice
 * @throws NotPlayed for what this engine leaves out
 */
export function evaluateTemplate(template: string, input: TemplateInput): TemplateOutput {
  let responseStatus: number | undefined;
  const output = evaluate(template, {
    tools: { input: inputTool(input), util: UTIL },
    values: { context: fromJson(input.context), stageVariables: fromJson(input.stageVariables ?? {}) },
    assign(path, value) {
      if (path.join(".") !== "context.responseOverride.status")
        throw new NotPlayed(`#set of $${path.join(".")}`);
      if (responseStatus !== undefined) throw new TemplateError("the status is overridden twice");
      responseStatus = Number(javaText(value));
      if (!/^[1-5]\d\d$/.test(String(responseStatus)))
        throw new TemplateError("the status is no HTTP status");
    },
  });
  return { output, ...(responseStatus !== undefined && { responseStatus }) };
}

function inputTool(input: TemplateInput): Tool {
  const { path = {}, querystring = {}, header = {} } = input.parameters ?? {};
  const at = (jsonPath: JavaValue) => readPath(parseBody(input.body), text(jsonPath));
  return {
    properties: { body: input.body },
    methods: {
      path: at,
      json: (jsonPath) => JSON.stringify(toJson(at(jsonPath))),
      params: (...names) =>
        names.length === 0
          ? fromJson({ path, querystring, header })
          : ([path, querystring, header].find((group) => Object.hasOwn(group, text(names[0]!)))?.[
              text(names[0]!)
            ] ?? ""),
    },
  };
}

const UTIL: Tool = {
  methods: {
    parseJson: (json) => parseJson(text(json)),
    urlDecode: (encoded) => urlDecode(text(encoded)),
    urlEncode: (plain) =>
      encodeURIComponent(text(plain))
        .replace(/[!'()~]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
        .replace(/%20/g, "+"),
    escapeJavaScript: (plain) => escapeJavaScript(text(plain)),
    base64Encode: (plain) => Buffer.from(text(plain)).toString("base64"),
    base64Decode: (encoded) => Buffer.from(text(encoded), "base64").toString("utf8"),
  },
};

function text(value: JavaValue): string {
  if (typeof value !== "string") throw new TemplateError(`a string is needed, got ${javaText(value)}`);
  return value;
}

function parseJson(json: string): JavaValue {
  try {
    return fromJson(JSON.parse(json));
  } catch (error) {
    // Also a RangeError: too deep for the stack, as it would be in Java.
    throw new TemplateError(`JSON: ${(error as Error).message}`);
  }
}

function parseBody(body: string): JavaValue {
  try {
    return parseJson(body);
  } catch {
    return body;
  }
}

/** The part of JSONPath that is played: members by name and elements by number. */
function readPath(root: JavaValue, path: string): JavaValue {
  if (!/^\$(?:\.[A-Za-z_][\w-]*|\['[^']+'\]|\[\d+\])*$/.test(path))
    throw new NotPlayed(`the JSONPath ${path}`);
  const steps = path.matchAll(/\.([A-Za-z_][\w-]*)|\['([^']+)'\]|\[(\d+)\]/g);
  let value = root;
  for (const [, name, quoted, index] of steps) {
    if (index !== undefined) value = Array.isArray(value) ? (value[Number(index)] ?? null) : null;
    else value = isMap(value) ? ((value as JavaMap).get(name ?? quoted ?? "") ?? null) : null;
  }
  return value;
}

/** java.net.URLDecoder with UTF-8: `+` is a space, a cut or wrong `%` throws, bytes that are no UTF-8 become U+FFFD. */
export function urlDecode(encoded: string): string {
  const source = Buffer.from(encoded);
  const target = Buffer.alloc(source.length);
  let length = 0;
  for (let at = 0; at < source.length; at++) {
    let byte = source[at]!;
    if (byte === PLUS) byte = SPACE;
    else if (byte === PERCENT) {
      const digits = source.toString("latin1", at + 1, at + 3);
      // Java's parseInt takes a plus sign: "%+1" is one byte.
      if (!/^[+0-9A-Fa-f][0-9A-Fa-f]$/.test(digits)) {
        throw new TemplateError(`IllegalArgumentException: URLDecoder: ${JSON.stringify(digits)} after %`);
      }
      byte = Number.parseInt(digits, 16);
      at += 2;
    }
    target[length++] = byte;
  }
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(target.subarray(0, length));
}

const PLUS = 0x2b;
const SPACE = 0x20;
const PERCENT = 0x25;

function escapeJavaScript(plain: string): string {
  const named: Readonly<Record<string, string>> = {
    "\b": "\\b",
    "\n": "\\n",
    "\t": "\\t",
    "\f": "\\f",
    "\r": "\\r",
  };
  return plain.replace(/["'\\/]|[^ -\x7f]/g, (sign) => {
    if (/["'\\/]/.test(sign)) return `\\${sign}`;
    return named[sign] ?? `\\u${sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  });
}
