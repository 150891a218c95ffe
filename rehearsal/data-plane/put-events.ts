import { AwsError, type AwsRequest } from "../aws/local-aws";

/** An entry of a PutEvents request, once its types are right. */
export interface Entry {
  readonly Source?: string;
  readonly DetailType?: string;
  readonly Detail?: string;
  readonly EventBusName?: string;
  readonly Resources?: readonly string[];
}

const MAX_ENTRIES = 10;
const MAX_BYTES = 256 * 1024;

/**
 * The entries of a request.
 *
 * @see https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
 * @throws AwsError `SerializationException` for wrong JSON types, `ValidationException` for numbers and sizes
 */
export function readEntries({ body }: AwsRequest): readonly Entry[] {
  const parsed = parse(body);
  const entries =
    typeof parsed === "object" && parsed !== null ? (parsed as { Entries?: unknown }).Entries : null;
  if (entries === null || typeof parsed !== "object" || Array.isArray(parsed)) throw serialization();
  if (entries === undefined) {
    throw validation("Value null at 'entries' failed to satisfy constraint: Member must not be null");
  }
  if (!Array.isArray(entries)) throw serialization();
  if (entries.length < 1 || entries.length > MAX_ENTRIES) {
    const bound = entries.length < 1 ? "greater than or equal to 1" : `less than or equal to ${MAX_ENTRIES}`;
    throw validation(`Value at 'entries' failed to satisfy constraint: Member must have length ${bound}`);
  }
  for (const entry of entries) checkTypes(entry);
  if (entries.map(sizeOf).reduce((a, b) => a + b) > MAX_BYTES) {
    throw new AwsError("ValidationException", "Total size of the entries in the request is over the limit.");
  }
  return entries;
}

/**
 * Why an entry is not taken, as its part of the answer: the other entries are.
 * A bus that does not exist is no reason: AWS answers as if all were well, and the event is gone.
 *
 * @see https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
 */
export function failedEntry(entry: Entry): { ErrorCode: string; ErrorMessage: string } | undefined {
  for (const name of ["Source", "DetailType", "Detail"] as const) {
    if (!entry[name]) {
      const ErrorMessage = `Parameter ${name} is not valid. Reason: ${name} is a required argument.`;
      return { ErrorCode: "InvalidArgument", ErrorMessage };
    }
  }
  if (entry.Source!.startsWith("aws.")) {
    return {
      ErrorCode: "NotAuthorizedForSourceException",
      ErrorMessage: "Not authorized for the source.",
    };
  }
  if (!isJsonObject(entry.Detail!)) {
    return { ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed." };
  }
  return undefined;
}

function checkTypes(entry: unknown): void {
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) throw serialization();
  const { Source, DetailType, Detail, EventBusName, Resources } = entry as Record<string, unknown>;
  const isText = (value: unknown) => value === undefined || value === null || typeof value === "string";
  if (![Source, DetailType, Detail, EventBusName].every(isText)) throw serialization();
  if (Resources !== undefined && !(Array.isArray(Resources) && Resources.every(isText)))
    throw serialization();
}

/** @see https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-calculate-putevents-size.html */
function sizeOf({ Source = "", DetailType = "", Detail = "", Resources = [] }: Entry): number {
  return [Source, DetailType, Detail, ...Resources]
    .map((text) => Buffer.byteLength(text ?? ""))
    .reduce((a, b) => a + b);
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw serialization();
  }
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function serialization(): AwsError {
  return new AwsError(
    "SerializationException",
    "the request's JSON does not have the types of the operation",
  );
}

function validation(problem: string): AwsError {
  return new AwsError("ValidationException", `1 validation error detected: ${problem}`);
}
