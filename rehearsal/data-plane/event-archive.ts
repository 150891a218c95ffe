import { callJson } from "../aws/json-api";
import { AwsError } from "../aws/local-aws";
import type { BusAws } from "./event-bus";
import { matchesPattern } from "./event-pattern";
import type { BusEvent } from "./event-target";

/** Hands an event to the rules of a bus; with `only`, to the rules of these ARNs. */
export type Dispatch = (bus: string, event: BusEvent, only?: readonly string[]) => Promise<void>;

/** The archives of the account. */
export interface Archives {
  /** Keeps an event in the archives of its bus whose patterns take it. */
  keep(bus: string, event: BusEvent): Promise<void>;
}

/**
 * Plays archives and their replays; the events are kept in memory.
 *
 * Left out: retention, pauses between replayed events, `CancelReplay`.
 *
 * @see https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-replay-archived-event.html
 */
export function playArchives(aws: BusAws, dispatch: Dispatch): Archives {
  const call = (operation: string, parameters: object) =>
    callJson(aws, aws.administrator, "events", operation, parameters);
  /** By the archive's name. */
  const kept = new Map<string, BusEvent[]>();
  const replays = new Map<string, Record<string, unknown>>();

  aws.handle("events", "StartReplay", async ({ parameters }) => {
    const { ReplayName, EventSourceArn, EventStartTime, EventEndTime, Destination } = parameters;
    if (replays.has(ReplayName)) {
      throw new AwsError("ResourceAlreadyExistsException", `Replay ${ReplayName} already exists.`);
    }
    const archive = String(EventSourceArn).split("/").at(-1)!;
    await call("DescribeArchive", { ArchiveName: archive });
    const isInTime = ({ time }: BusEvent) => {
      const seconds = Date.parse(time) / 1000;
      return seconds >= EventStartTime && seconds <= EventEndTime;
    };
    const replay = {
      ReplayName,
      ReplayArn: `arn:aws:events:${aws.region}:${aws.accountId}:replay/${ReplayName}`,
      EventSourceArn,
      Destination,
      State: "STARTING",
      ReplayStartTime: Date.now() / 1000,
    };
    replays.set(ReplayName, replay);
    const bus = String(Destination.Arn).split("/").at(-1)!;
    const events = (kept.get(archive) ?? []).filter(isInTime);
    Promise.all(
      // Replayed events carry the replay's name, so that rules can tell them.
      events.map((event) => dispatch(bus, { ...event, "replay-name": ReplayName }, Destination.FilterArns)),
    ).then(
      () => replays.set(ReplayName, { ...replay, State: "COMPLETED", ReplayEndTime: Date.now() / 1000 }),
      (error: Error) => replays.set(ReplayName, { ...replay, State: "FAILED", StateReason: error.message }),
    );
    return replay;
  });

  aws.handle("events", "DescribeReplay", async ({ parameters: { ReplayName } }) => {
    const replay = replays.get(ReplayName);
    if (!replay) throw new AwsError("ResourceNotFoundException", `Replay ${ReplayName} does not exist.`);
    return replay;
  });

  return {
    keep: async (bus, event) => {
      const EventSourceArn = `arn:aws:events:${aws.region}:${aws.accountId}:event-bus/${bus}`;
      const { Archives = [] } = await call("ListArchives", { EventSourceArn });
      for (const { ArchiveName } of Archives as { ArchiveName: string }[]) {
        const { EventPattern } = await call("DescribeArchive", { ArchiveName });
        if (EventPattern && !matchesPattern(JSON.parse(EventPattern), event)) continue;
        kept.set(ArchiveName, [...(kept.get(ArchiveName) ?? []), event]);
      }
    },
  };
}
