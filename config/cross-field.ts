import type { z } from "zod";

type Payload = Pick<z.core.ParsePayload, "value" | "issues">;

/**
 * For a check over several settings: it runs as soon as these are well, whatever is wrong with the others, so that
 * one run names every fault. (By itself zod leaves such checks out after any fault in the same object.)
 * @param settings dotted paths, from the object that is checked
 * @example schema.superRefine(({ cpu, memory }, context) => { ... }, whenWell("cpu", "memory"))
 */
export function whenWell(...settings: string[]) {
  const concerns = (path: readonly PropertyKey[] = []) => {
    const fault = `${path.map(String).join(".")}.`;
    return settings.some((setting) => `${setting}.`.startsWith(fault) || fault.startsWith(`${setting}.`));
  };
  return {
    when: ({ value, issues }: Payload): boolean =>
      typeof value === "object" &&
      value !== null &&
      !Array.isArray(value) &&
      !issues.some((issue) => issue.path !== undefined && issue.path.length > 0 && concerns(issue.path)),
  };
}
