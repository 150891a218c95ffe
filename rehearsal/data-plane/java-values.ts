import { javaRegex } from "./java-regex";
import { NotPlayed, TemplateError } from "./template-errors";

/**
 * The Java values that a mapping template meets: String, Integer/Long/Double, Boolean, List, Map and null.
 * A Map is a JavaScript Map, so that no key of a hostile document means anything to JavaScript.
 */
export type JavaValue = string | number | boolean | null | readonly JavaValue[] | JavaMap;
export type JavaMap = ReadonlyMap<string, JavaValue>;

type Method = (receiver: never, ...args: never[]) => JavaValue;
type Overloads = Readonly<Record<string, Method>>;

/** Value of parsed JSON in Java's shapes. */
export function fromJson(value: unknown): JavaValue {
  if (Array.isArray(value)) return value.map(fromJson);
  if (typeof value === "object" && value !== null) {
    return new Map(Object.entries(value).map(([key, member]) => [key, fromJson(member)]));
  }
  return value as JavaValue;
}

/** Plain JavaScript of a Java value, for JSON. */
export function toJson(value: JavaValue): unknown {
  if (isList(value)) return value.map(toJson);
  if (isMap(value)) {
    // Object.create(null): a member named __proto__ stays a member.
    return Object.assign(Object.create(null), Object.fromEntries([...value].map(([k, v]) => [k, toJson(v)])));
  }
  return value;
}

export function isMap(value: JavaValue): value is JavaMap {
  return value instanceof Map;
}

function isList(value: JavaValue): value is readonly JavaValue[] {
  return Array.isArray(value);
}

/** `toString()` of a value. */
export function javaText(value: JavaValue): string {
  if (isList(value)) return `[${value.map(javaText).join(", ")}]`;
  if (isMap(value)) return `{${[...value].map(([k, v]) => `${k}=${javaText(v)}`).join(", ")}}`;
  return String(value);
}

function javaEquals(a: JavaValue, b: JavaValue): boolean {
  if ((isMap(a) && isMap(b)) || (isList(a) && isList(b)))
    throw new NotPlayed("equals() of two maps or lists");
  return a === b;
}

function hashCode(text: string): number {
  let hash = 0;
  for (let at = 0; at < text.length; at++) hash = (Math.imul(31, hash) + text.charCodeAt(at)) | 0;
  return hash;
}

function substring(text: string, from: number, to: number): string {
  if (from < 0 || to > text.length || from > to) {
    throw new TemplateError(
      `StringIndexOutOfBoundsException: begin ${from}, end ${to}, length ${text.length}`,
    );
  }
  return text.slice(from, to);
}

function split(text: string, pattern: string): string[] {
  // JavaScript puts what groups catch between the parts, Java does not.
  if (/(?<!\\)\((?!\?)/.test(pattern)) throw new NotPlayed("split() with a group in the pattern");
  const parts = text.split(javaRegex(pattern));
  // Java leaves out empty parts at the end, unless nothing matched at all.
  if (parts.length === 1) return parts;
  while (parts.at(-1) === "") parts.pop();
  return parts;
}

function replaceAll(text: string, pattern: string, replacement: string): string {
  if (/[$\\]/.test(replacement)) throw new NotPlayed("replaceAll() with $ or \\ in the replacement");
  return text.replace(javaRegex(pattern, "g"), () => replacement);
}

function element(list: readonly JavaValue[], index: number): JavaValue {
  const value = list[index];
  if (value === undefined) {
    throw new TemplateError(`IndexOutOfBoundsException: index ${index}, size ${list.length}`);
  }
  return value;
}

// Rule of these tables: a name that stands in one of them stands in all whose Java class has it. So a name that is
// in some table but not in the receiver's is a method that Java has not either (and Velocity gives null), and a
// name in none of them is one we know nothing about.
// Key: name and types of the arguments (s = String, i = int, o = Object).
const OF_OBJECT: Overloads = {
  "toString()": (value: JavaValue) => javaText(value),
  "equals(o)": (value: JavaValue, other: JavaValue) => javaEquals(value, other),
  "hashCode()": (value: JavaValue) => {
    throw new NotPlayed(`hashCode() of ${typeName(value)}`);
  },
};
const OF_STRING: Overloads = {
  ...OF_OBJECT,
  "length()": (text: string) => text.length,
  "isEmpty()": (text: string) => text === "",
  "hashCode()": (text: string) => hashCode(text),
  "substring(i)": (text: string, from: number) => substring(text, from, text.length),
  "substring(i,i)": substring,
  "indexOf(s)": (text: string, part: string) => text.indexOf(part),
  "indexOf(s,i)": (text: string, part: string, from: number) => text.indexOf(part, from),
  "lastIndexOf(s)": (text: string, part: string) => text.lastIndexOf(part),
  "contains(s)": (text: string, part: string) => text.includes(part),
  "startsWith(s)": (text: string, part: string) => text.startsWith(part),
  "endsWith(s)": (text: string, part: string) => text.endsWith(part),
  "matches(s)": (text: string, pattern: string) => javaRegex(`^(?:${pattern})$`).test(text),
  "split(s)": split,
  "replaceAll(s,s)": replaceAll,
  "replace(s,s)": (text: string, what: string, by: string) => text.replaceAll(what, () => by),
  "trim()": (text: string) => text.replace(/^[\0- ]+|[\0- ]+$/g, ""),
  "toLowerCase()": (text: string) => text.toLowerCase(),
  "toUpperCase()": (text: string) => text.toUpperCase(),
};
const OF_LIST: Overloads = {
  ...OF_OBJECT,
  "size()": (list: readonly JavaValue[]) => list.length,
  "isEmpty()": (list: readonly JavaValue[]) => list.length === 0,
  "get(i)": element,
  "contains(o)": (list: readonly JavaValue[], value: JavaValue) => list.some((e) => javaEquals(e, value)),
  "indexOf(o)": (list: readonly JavaValue[], value: JavaValue) => list.findIndex((e) => javaEquals(e, value)),
};
const OF_MAP: Overloads = {
  ...OF_OBJECT,
  "size()": (map: JavaMap) => map.size,
  "isEmpty()": (map: JavaMap) => map.size === 0,
  "get(o)": (map: JavaMap, key: JavaValue) => (typeof key === "string" ? (map.get(key) ?? null) : null),
  "containsKey(o)": (map: JavaMap, key: JavaValue) => typeof key === "string" && map.has(key),
  "keySet()": (map: JavaMap) => [...map.keys()],
  "replace(o,o)": () => {
    throw new NotPlayed("replace() of Map");
  },
};
const TABLES = [OF_OBJECT, OF_STRING, OF_LIST, OF_MAP];

// Bean properties that Java's classes have and JSON members may be named like: Velocity would find the getter.
const GETTERS = new Set(["class", "empty", "bytes", "declaringClass", "blank"]);

/** `receiver.name(args)` as Velocity calls it: null when the receiver's class has no such method. */
export function callMethod(receiver: JavaValue, name: string, args: readonly JavaValue[]): JavaValue {
  if (receiver === null) return null;
  const table = tableOf(receiver);
  const method = findOverload(table, name, args);
  if (method) return (method as (...values: readonly JavaValue[]) => JavaValue)(receiver, ...args);
  if (hasName(table, name) || !TABLES.some((other) => hasName(other, name))) {
    throw new NotPlayed(`method ${name}(${args.map(typeName).join(",")}) of ${typeName(receiver)}`);
  }
  return null;
}

/** `receiver.name` as Velocity reads it: a member of a map; anything else has no such property. */
export function getProperty(receiver: JavaValue, name: string): JavaValue {
  if (receiver === null) return null;
  if (GETTERS.has(name)) throw new NotPlayed(`property ${name}, which Java's own classes have`);
  return isMap(receiver) ? (receiver.get(name) ?? null) : null;
}

function tableOf(value: JavaValue): Overloads {
  if (typeof value === "string") return OF_STRING;
  if (isList(value)) return OF_LIST;
  return isMap(value) ? OF_MAP : OF_OBJECT;
}

function hasName(table: Overloads, name: string): boolean {
  return Object.keys(table).some((key) => key.startsWith(`${name}(`));
}

function findOverload(table: Overloads, name: string, args: readonly JavaValue[]): Method | undefined {
  const key = Object.keys(table).find((candidate) => {
    if (!candidate.startsWith(`${name}(`)) return false;
    const types = candidate
      .slice(name.length + 1, -1)
      .split(",")
      .filter(Boolean);
    return types.length === args.length && types.every((type, at) => fits(type, args[at]!));
  });
  return key === undefined ? undefined : table[key];
}

function fits(type: string, value: JavaValue): boolean {
  if (type === "i") return Number.isInteger(value);
  // Java takes null for any reference, and then throws in the method.
  if (value === null && type === "s") throw new TemplateError("NullPointerException");
  return type === "o" || typeof value === "string";
}

function typeName(value: JavaValue): string {
  if (value === null) return "null";
  if (isList(value)) return "List";
  return isMap(value) ? "Map" : typeof value;
}
