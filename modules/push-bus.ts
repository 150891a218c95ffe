import { CloudwatchEventArchive } from "@cdktf/provider-aws/lib/cloudwatch-event-archive";
import { CloudwatchEventBus } from "@cdktf/provider-aws/lib/cloudwatch-event-bus";
import { Construct } from "constructs";

export interface PushBusProps {
  readonly prefix: string;
  /** How long pushes are kept for replay, in days. */
  readonly archiveDays: number;
}

/** `source` of every event on the bus. */
export const PUSH_SOURCE = "backlog.git";
/** `detail-type` of every event on the bus. */
export const PUSH_DETAIL_TYPE = "Backlog Git Push";

/**
 * One bus between the webhook and the work: Backlog knows one hook URL per repository, so whoever wants pushes
 * takes them from here, with a rule of its own.
 */
export class PushBus extends Construct {
  public readonly bus: CloudwatchEventBus;

  constructor(scope: Construct, id: string, props: PushBusProps) {
    super(scope, id);
    this.bus = new CloudwatchEventBus(this, "Default", { name: `${props.prefix}-push` });
    new CloudwatchEventArchive(this, "archive", {
      name: `${props.prefix}-push`,
      description: "Every push, for replay",
      eventSourceArn: this.bus.arn,
      retentionDays: props.archiveDays,
    });
  }
}
