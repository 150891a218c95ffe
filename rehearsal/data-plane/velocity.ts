import { Helper, parse } from "velocityjs";
import { callMethod, getProperty, isMap, type JavaMap, type JavaValue, javaText } from "./java-values";
import { NotPlayed, TemplateError } from "./template-errors";

/**
 * Velocity 1.7 as API Gateway runs it: the grammar is velocityjs's, the evaluation is Java's.
 *
 * velocityjs evaluates with JavaScript's rules (null is assigned, an empty string is false, `==` converts, `&&`
 * gives its operand, any property of a JavaScript object can be read, unknown methods print their source). Here
 * - `#set` with null on its right assigns nothing;
 * - everything but null and false is true, `&&`, `||` and `!` give booleans;
 * - `==` compares numbers as numbers, values of one class by equals(), all others by their text;
 * - an order comparison with anything but numbers is false;
 * - methods are those of Java's classes, an exception in one ends the template;
 * - `#foreach` stops after 1,000 rounds (API Gateway's quota);
 * - a reference to nothing prints its source, `$!` prints nothing.
 * Left out, and refused when met: macros, `#define`, `#parse`, `#include`, `#evaluate`, `#stop`, `#break`, ranges,
 * decimals, literals as conditions (Velocity takes them for false), arithmetic beyond + and - of integers.
 * What velocityjs reads differently (`\$`, doubled quotes in strings, white space around directives) is kept out of
 * the templates by their test.
 * @see https://velocity.apache.org/engine/1.7/vtl-reference.html
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
 */

/** Something a template can call methods on that is no Java value: `$input`, `$util`. */
export interface Tool {
  readonly methods: Readonly<Record<string, (...args: readonly JavaValue[]) => JavaValue>>;
  readonly properties?: Readonly<Record<string, JavaValue>>;
}

export interface Surroundings {
  readonly tools: Readonly<Record<string, Tool>>;
  readonly values: Readonly<Record<string, JavaValue>>;
  /** Called for `#set` of a path, such as `$context.responseOverride.status`. */
  assign(path: readonly string[], value: JavaValue): void;
}

/** Rounds after which API Gateway ends a `#foreach`. */
export const FOREACH_MAX_ROUNDS = 1000;

/**
 * The text that a template prints.
 * @throws TemplateError where Java would throw
 * @throws NotPlayed for what this engine leaves out
 */
export function evaluate(template: string, surroundings: Surroundings): string {
  checkDirectives(template.replace(/##.*/g, ""));
  return new Evaluation(surroundings).render(parseTemplate(template));
}

/** velocityjs takes a block without its end, and prints directives that it does not know. */
function checkDirectives(source: string): void {
  const unknown = source.match(/#(?:stop|break|parse|include|evaluate|define|macro)\b/);
  if (unknown) throw new NotPlayed(unknown[0]);
  const opened = source.match(/#(?:if|foreach)\s*\(/g)?.length ?? 0;
  const closed = source.match(/#(?:end\b|\{end\})/g)?.length ?? 0;
  if (opened !== closed)
    throw new TemplateError(`ParseErrorException: ${opened} blocks, ${closed} times #end`);
}

type Node = ReturnType<typeof parse>[number] | string;
// The shapes velocityjs's parser gives; its own types leave most of them open.
interface Ast {
  readonly type: string;
  readonly id?: string;
  readonly leader?: string;
  readonly path?: readonly Step[];
  readonly args?: readonly Ast[] | false;
  readonly value?: unknown;
  readonly isEval?: boolean;
  readonly isRange?: boolean;
  readonly operator?: string;
  readonly expression?: readonly Ast[];
  readonly equal?: readonly [Ast, Ast];
  readonly condition?: Ast;
  readonly from?: Ast;
  readonly to?: string;
}
interface Step {
  readonly type: string;
  readonly id: unknown;
  readonly args?: readonly Ast[] | false;
}

function parseTemplate(template: string): readonly Node[] {
  try {
    return parse(template);
  } catch (error) {
    throw new TemplateError(`ParseErrorException: ${(error as Error).message}`);
  }
}

class Evaluation {
  private readonly variables: Map<string, JavaValue>;

  constructor(private readonly surroundings: Surroundings) {
    this.variables = new Map(Object.entries(surroundings.values));
  }

  render(nodes: readonly Node[]): string {
    return nodes.map((node) => this.renderNode(node)).join("");
  }

  private renderNode(node: Node): string {
    if (typeof node === "string") return node;
    if (Array.isArray(node)) return this.renderBlock(node as readonly Node[]);
    const ast = node as unknown as Ast;
    switch (ast.type) {
      case "references":
        return this.print(ast);
      case "set":
        this.set(ast.equal![0], ast.equal![1]);
        return "";
      case "comment":
        return "";
      default:
        throw new NotPlayed(`#${ast.id ?? ast.type}`);
    }
  }

  private renderBlock(block: readonly Node[]): string {
    const head = block[0] as unknown as Ast;
    if (head.type === "if") return this.render(this.chooseBranch(block));
    if (head.type === "foreach") return this.renderForeach(head, block.slice(1));
    throw new NotPlayed(`#${head.type}`);
  }

  private chooseBranch(block: readonly Node[]): readonly Node[] {
    const isHead = (node: Node) => ["if", "elseif", "else"].includes((node as unknown as Ast).type);
    const start = block.findIndex((node) => {
      const { type, condition } = node as unknown as Ast;
      return isHead(node) && (type === "else" || this.isTrue(condition!));
    });
    if (start < 0) return [];
    const length = block.slice(start + 1).findIndex(isHead);
    return block.slice(start + 1, length < 0 ? undefined : start + 1 + length);
  }

  private renderForeach(head: Ast, body: readonly Node[]): string {
    const from = this.value(head.from!);
    if (from === null) return "";
    const all = isMap(from) ? [...from.values()] : from;
    if (!Array.isArray(all)) throw new NotPlayed("#foreach over anything but lists and maps");
    const rounds = all.slice(0, FOREACH_MAX_ROUNDS) as readonly JavaValue[];
    return rounds
      .map((element, index) => {
        this.variables.set(head.to!, element);
        this.variables.set("foreach", foreachStatus(index, index + 1 < all.length));
        return this.render(body);
      })
      .join("");
  }

  private set(target: Ast, source: Ast): void {
    const value = this.value(source);
    if (value === null) return;
    if (target.path === undefined) {
      this.variables.set(target.id!, value);
      return;
    }
    if (target.path.some((step) => step.type !== "property"))
      throw new NotPlayed("#set of anything but names");
    this.surroundings.assign([target.id!, ...target.path.map((step) => step.id as string)], value);
  }

  private print(reference: Ast): string {
    const value = this.reference(reference);
    if (value !== null) return javaText(value);
    return reference.leader === "$!"
      ? ""
      : Helper.getRefText(reference as Parameters<typeof Helper.getRefText>[0]);
  }

  private value(ast: Ast): JavaValue {
    switch (ast.type) {
      case "references":
        return this.reference(ast);
      case "string":
        return ast.isEval ? this.interpolate(ast.value as string) : (ast.value as string);
      case "integer":
        return Number(ast.value);
      case "bool":
        if (ast.value === "null") throw new NotPlayed("null as a word, which Velocity does not have");
        return ast.value === "true";
      case "map":
        if (Object.keys(ast.value ?? {}).length > 0) throw new NotPlayed("a map with members");
        return new Map();
      case "array":
        if (ast.isRange) throw new NotPlayed("a range");
        return (ast.value as readonly Ast[]).map((element) => this.value(element));
      case "math":
        return this.operation(ast.operator!, ast.expression!);
      default:
        throw new NotPlayed(`an expression of the kind ${ast.type}`);
    }
  }

  private interpolate(text: string): string {
    return /[$#]/.test(text) ? this.render(parseTemplate(text)) : text;
  }

  private operation(operator: string, operands: readonly Ast[]): JavaValue {
    const left = () => this.value(operands[0]!);
    const right = () => this.value(operands[1]!);
    switch (operator) {
      case "parenthesis":
        return left();
      case "not":
        return !this.isTrue(operands[0]!);
      case "&&":
        return this.isTrue(operands[0]!) && this.isTrue(operands[1]!);
      case "||":
        return this.isTrue(operands[0]!) || this.isTrue(operands[1]!);
      case "==":
        return isEqual(left(), right());
      case "!=":
        return !isEqual(left(), right());
      case ">":
        return inOrder(left(), right(), (a, b) => a > b);
      case "<":
        return inOrder(left(), right(), (a, b) => a < b);
      case ">=":
        return inOrder(left(), right(), (a, b) => a >= b);
      case "<=":
        return inOrder(left(), right(), (a, b) => a <= b);
      case "+":
        return sum(left(), right(), 1);
      case "-":
        return sum(left(), right(), -1);
      default:
        throw new NotPlayed(`the operator ${operator}`);
    }
  }

  private isTrue(condition: Ast): boolean {
    const known = ["references", "math", "bool"];
    if (!known.includes(condition.type)) throw new NotPlayed(`a ${condition.type} as a condition`);
    const value = this.value(condition);
    return value !== null && value !== false;
  }

  private reference(ast: Ast): JavaValue {
    if (ast.args !== undefined) throw new NotPlayed(`a call of $${ast.id}`);
    const steps = ast.path ?? [];
    const tool = this.surroundings.tools[ast.id!];
    if (tool === undefined) return this.follow(this.variables.get(ast.id!) ?? null, steps);
    const [first, ...rest] = steps;
    if (first === undefined) throw new NotPlayed(`$${ast.id} by itself`);
    return this.follow(this.callTool(ast.id!, tool, first), rest);
  }

  private callTool(name: string, tool: Tool, step: Step): JavaValue {
    const id = String(step.id);
    const method = step.type === "method" ? tool.methods[id] : undefined;
    if (method) return method(...this.args(step));
    const property = step.type === "property" ? tool.properties?.[id] : undefined;
    if (property === undefined) throw new NotPlayed(`$${name}.${id}`);
    return property;
  }

  private follow(start: JavaValue, steps: readonly Step[]): JavaValue {
    return steps.reduce((value, step) => this.step(value, step), start);
  }

  private step(value: JavaValue, step: Step): JavaValue {
    if (step.type === "method") return callMethod(value, String(step.id), this.args(step));
    if (step.type === "property") return getProperty(value, String(step.id));
    const index = this.value(step.id as Ast);
    return callMethod(value, "get", [index]);
  }

  private args(step: Step): JavaValue[] {
    return (step.args || []).map((arg) => this.value(arg));
  }
}

function foreachStatus(index: number, hasNext: boolean): JavaMap {
  return new Map<string, JavaValue>([
    ["index", index],
    ["count", index + 1],
    ["hasNext", hasNext],
  ]);
}

function isEqual(a: JavaValue, b: JavaValue): boolean {
  if (a === null || b === null) return a === b;
  return typeof a === typeof b && typeof a !== "object" ? a === b : javaText(a) === javaText(b);
}

function inOrder(a: JavaValue, b: JavaValue, compare: (a: number, b: number) => boolean): boolean {
  return typeof a === "number" && typeof b === "number" && compare(a, b);
}

function sum(a: JavaValue, b: JavaValue, sign: 1 | -1): JavaValue {
  if (!Number.isInteger(a) || !Number.isInteger(b)) throw new NotPlayed("arithmetic beyond integers");
  return (a as number) + sign * (b as number);
}
