/**
 * AWS CodePipeline: executions of the pipelines that are deployed.
 *
 * Copies: a stage takes one execution at a time; who waits for a stage is superseded by a newer one (mode
 * SUPERSEDED) or keeps its place (QUEUED); actions of one run order run side by side; a failed action fails the
 * execution and frees the stage; a new pipeline runs once by itself; events of executions.
 * Left out: polling sources, triggers with filters, variables, transitions, retries and rollback of stages, events
 * of stages and actions.
 *
 * @see https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html
 * @see https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_StartPipelineExecution.html
 * @see https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
 */

import { randomUUID } from "node:crypto";
import {
  type ActionDeclaration,
  CodePipelineClient,
  GetPipelineCommand,
  type PipelineDeclaration,
  type StageDeclaration,
} from "@aws-sdk/client-codepipeline";
import { type Activity, AwsError, type LocalAws } from "../aws/local-aws";
import type { EventBus } from "./event-bus";
import { type ActionProgress, runAction, type SourceRevision } from "./pipeline-actions";
import { PipelineArtifacts } from "./pipeline-artifacts";
import { StageLock } from "./stage-lock";

export interface PipelineDependencies {
  readonly emit: EventBus["emit"];
  /** The commit an image was built from, for reports. */
  readonly commitOf?: (image: string) => Promise<string | undefined>;
}

/** The running CodePipeline. */
export interface Pipelines {
  /** Lets no execution go on. */
  stop(): void;
}

type ExecutionStatus = "InProgress" | "Succeeded" | "Failed" | "Superseded";
type ActionStatus = "InProgress" | "Succeeded" | "Failed";

interface ActionState {
  readonly actionExecutionId: string;
  readonly executionId: string;
  status: ActionStatus;
  lastStatusChange: number;
  token?: string;
  summary?: string;
  progress: ActionProgress;
  decide?: (decision: { approved: boolean; summary: string }) => void;
}

interface Execution {
  readonly id: string;
  readonly pipeline: PipelineDeclaration;
  readonly trigger: string;
  readonly overrides: readonly SourceRevision[];
  readonly artifacts: PipelineArtifacts;
  readonly startTime: number;
  status: ExecutionStatus;
  statusSummary?: string;
  lastUpdateTime: number;
  revisions: { actionName: string; revisionId: string }[];
  commit?: string;
}

interface StageState {
  readonly lock: StageLock<Execution>;
  latest?: { readonly execution: Execution; status: ActionStatus };
  readonly actions: Map<string, ActionState>;
}

/** Plays CodePipeline's executions. */
export function startPipelines(aws: LocalAws, dependencies: PipelineDependencies): Pipelines {
  const service = new CodePipeline(aws, dependencies);
  const play = (action: string, answer: (parameters: Parameters) => unknown) =>
    aws.handle("codepipeline", action, async ({ parameters }) => (await answer(parameters)) as Answer);
  play("StartPipelineExecution", (parameters) => service.startExecution(parameters));
  play("GetPipelineExecution", (parameters) => service.getExecution(parameters));
  play("ListPipelineExecutions", (parameters) => service.listExecutions(parameters));
  play("GetPipelineState", (parameters) => service.getState(parameters));
  play("PutApprovalResult", (parameters) => service.putApproval(parameters));
  aws.handle("codepipeline", "CreatePipeline", async ({ parameters }, next) => {
    const answer = await next();
    if (answer.status === 200)
      await service.start({ name: parameters.pipeline.name, trigger: "CreatePipeline" });
    return answer;
  });
  return service;
}

type Answer = Record<string, unknown>;
// biome-ignore lint/suspicious/noExplicitAny: the shape depends on the action
type Parameters = any;

class CodePipeline implements Pipelines {
  private readonly client: CodePipelineClient;
  private readonly executions = new Map<string, Execution>();
  private readonly stages = new Map<string, StageState>();
  private readonly tokens = new Map<string, string>();
  private stopped = false;

  constructor(
    private readonly aws: LocalAws,
    private readonly dependencies: PipelineDependencies,
  ) {
    this.client = new CodePipelineClient(aws.clientConfig());
  }

  stop(): void {
    this.stopped = true;
    this.client.destroy();
  }

  async startExecution(parameters: Parameters): Promise<Answer> {
    const { name, clientRequestToken: token, sourceRevisions } = parameters;
    const earlier = token && this.tokens.get(`${name} ${token}`);
    if (earlier) return { pipelineExecutionId: earlier };
    const id = await this.start({ name, trigger: "StartPipelineExecution", overrides: sourceRevisions });
    if (token) this.tokens.set(`${name} ${token}`, id);
    return { pipelineExecutionId: id };
  }

  /** Starts an execution of the pipeline as it is deployed now. */
  async start(options: {
    name: string;
    trigger: string;
    overrides?: readonly SourceRevision[];
  }): Promise<string> {
    const { pipeline } = await this.client
      .send(new GetPipelineCommand({ name: options.name }))
      .catch((error: Error) => {
        throw new AwsError(error.name, error.message);
      });
    if (!pipeline?.artifactStore) {
      const message = `this rehearsal runs pipelines with one artifact store, ${options.name} has several or none`;
      throw new AwsError("InvalidStructureException", message);
    }
    const now = Date.now() / 1000;
    const execution: Execution = {
      id: randomUUID(),
      pipeline,
      trigger: options.trigger,
      overrides: options.overrides ?? [],
      artifacts: new PipelineArtifacts(options.name, pipeline.artifactStore),
      startTime: now,
      status: "InProgress",
      lastUpdateTime: now,
      revisions: [],
    };
    this.executions.set(execution.id, execution);
    // Its faults become states of the execution.
    this.run(execution).catch(() => {});
    return execution.id;
  }

  getExecution({ pipelineName, pipelineExecutionId }: Parameters): Answer {
    const execution = this.executions.get(pipelineExecutionId);
    if (execution?.pipeline.name !== pipelineName || !execution) {
      throw new AwsError(
        "PipelineExecutionNotFoundException",
        `The pipeline ${pipelineName} has no execution with the ID ${pipelineExecutionId}`,
      );
    }
    const { pipeline, status, statusSummary, revisions, trigger } = execution;
    return {
      pipelineExecution: {
        pipelineName,
        pipelineVersion: pipeline.version,
        pipelineExecutionId,
        status,
        ...(statusSummary ? { statusSummary } : {}),
        artifactRevisions: revisions.map(({ actionName, revisionId }) => ({ name: actionName, revisionId })),
        trigger: { triggerType: trigger },
        executionMode: pipeline.executionMode ?? "SUPERSEDED",
      },
    };
  }

  listExecutions({ pipelineName, maxResults }: Parameters): Answer {
    const all = [...this.executions.values()].filter(({ pipeline }) => pipeline.name === pipelineName);
    return {
      pipelineExecutionSummaries: all
        .reverse()
        .slice(0, maxResults ?? all.length)
        .map((execution) => ({
          pipelineExecutionId: execution.id,
          status: execution.status,
          ...(execution.statusSummary ? { statusSummary: execution.statusSummary } : {}),
          startTime: execution.startTime,
          lastUpdateTime: execution.lastUpdateTime,
          sourceRevisions: execution.revisions,
          trigger: { triggerType: execution.trigger },
          executionMode: execution.pipeline.executionMode ?? "SUPERSEDED",
        })),
    };
  }

  async getState({ name }: Parameters): Promise<Answer> {
    const { pipeline, metadata } = await this.client
      .send(new GetPipelineCommand({ name }))
      .catch((error: Error) => {
        throw new AwsError(error.name, error.message);
      });
    return {
      pipelineName: name,
      pipelineVersion: pipeline?.version,
      created: (metadata?.created?.getTime() ?? 0) / 1000,
      updated: (metadata?.updated?.getTime() ?? 0) / 1000,
      stageStates: (pipeline?.stages ?? []).map((stage) => this.showStage(name, stage)),
    };
  }

  putApproval({ pipelineName, stageName, actionName, token, result }: Parameters): Answer {
    const state = this.stage(pipelineName, stageName).actions.get(actionName);
    if (!state?.decide) {
      const message = `no approval is waiting in ${pipelineName}/${stageName}/${actionName}`;
      throw new AwsError("ApprovalAlreadyCompletedException", message);
    }
    if (state.token !== token)
      throw new AwsError("InvalidApprovalTokenException", "the approval token is wrong");
    state.decide({ approved: result?.status === "Approved", summary: result?.summary ?? "" });
    delete state.decide;
    return { approvedAt: Date.now() / 1000 };
  }

  private async run(execution: Execution): Promise<void> {
    const { pipeline, trigger } = execution;
    const { name = "", executionMode = "SUPERSEDED" } = pipeline;
    this.emit(execution, "STARTED");
    this.report(execution, "started", `execution ${execution.id} of ${name}`);
    for (const [index, stage] of (pipeline.stages ?? []).entries()) {
      const state = this.stage(name, stage.name ?? "");
      if (!(await state.lock.enter(execution, executionMode))) {
        this.finish(execution, "Superseded", "a newer execution took its place");
        return;
      }
      try {
        if (this.stopped) return;
        state.latest = { execution, status: "InProgress" };
        await this.runStage(execution, stage, state);
        state.latest.status = "Succeeded";
      } catch (error) {
        if (state.latest) state.latest.status = "Failed";
        const { message } = error as Error;
        const isFirstRun = trigger === "CreatePipeline" && index === 0;
        this.finish(execution, "Failed", `${stage.name}: ${message}`, isFirstRun);
        return;
      } finally {
        state.lock.leave(execution);
      }
    }
    this.finish(execution, "Succeeded", `execution ${execution.id} went through all stages`);
  }

  private async runStage(execution: Execution, stage: StageDeclaration, state: StageState): Promise<void> {
    const actions = stage.actions ?? [];
    const orders = [...new Set(actions.map(({ runOrder = 1 }) => runOrder))].sort((a, b) => a - b);
    for (const order of orders) {
      const group = actions.filter(({ runOrder = 1 }) => runOrder === order);
      const results = await Promise.allSettled(
        group.map((action) => this.runAction(execution, stage.name ?? "", state, action)),
      );
      const failed = results.find((result) => result.status === "rejected");
      if (failed) throw failed.reason;
    }
  }

  private async runAction(
    execution: Execution,
    stage: string,
    stageState: StageState,
    action: ActionDeclaration,
  ): Promise<void> {
    const { name: pipeline = "", roleArn = "" } = execution.pipeline;
    const state: ActionState = {
      actionExecutionId: randomUUID(),
      executionId: execution.id,
      status: "InProgress",
      lastStatusChange: Date.now() / 1000,
      progress: {},
    };
    const token = randomUUID();
    stageState.actions.set(action.name ?? "", state);
    const settle = (status: ActionStatus, summary?: string) => {
      state.status = status;
      state.lastStatusChange = Date.now() / 1000;
      if (summary) state.summary = summary;
    };
    try {
      const { region, accountId } = this.aws;
      const credentials = await this.aws.assumeRole(action.roleArn ?? roleArn, "codepipeline.amazonaws.com", {
        arn: `arn:aws:codepipeline:${region}:${accountId}:${pipeline}`,
        account: accountId,
      });
      await runAction({
        aws: this.aws,
        credentials,
        pipeline,
        stage,
        action,
        artifacts: execution.artifacts,
        overrides: execution.overrides,
        token,
        approval: () =>
          new Promise((resolve) => {
            state.token = token;
            state.decide = resolve;
          }),
        progress: (progress) => this.note(execution, state, action, progress),
      });
      settle("Succeeded");
    } catch (error) {
      settle("Failed", (error as Error).message);
      throw error;
    }
  }

  private note(
    execution: Execution,
    state: ActionState,
    action: ActionDeclaration,
    progress: ActionProgress,
  ): void {
    state.progress = { ...state.progress, ...progress };
    const { revisionId, image, waitsFor } = progress;
    if (revisionId) execution.revisions.push({ actionName: action.name ?? "", revisionId });
    const known = image ? this.learnCommit(execution, image) : Promise.resolve();
    if (waitsFor) void known.then(() => this.report(execution, "waiting", waitsFor));
  }

  private async learnCommit(execution: Execution, image: string): Promise<void> {
    const commit = await this.dependencies.commitOf?.(image).catch(() => undefined);
    if (commit) execution.commit = commit;
  }

  private finish(execution: Execution, status: ExecutionStatus, summary: string, isFirstRun = false): void {
    execution.status = status;
    execution.lastUpdateTime = Date.now() / 1000;
    if (status === "Failed") execution.statusSummary = summary;
    if (this.stopped) return;
    this.emit(execution, status.toUpperCase());
    if (isFirstRun) {
      const detail = `the new pipeline's own first run found nothing to deploy yet, as on AWS (${summary})`;
      this.report(execution, "skipped", detail);
    } else {
      const state = {
        Succeeded: "succeeded",
        Failed: "failed",
        Superseded: "skipped",
        InProgress: "waiting",
      } as const;
      this.report(execution, state[status], summary);
    }
  }

  private emit(execution: Execution, state: string): void {
    const { name = "", version } = execution.pipeline;
    const { region, accountId } = this.aws;
    this.dependencies.emit({
      source: "aws.codepipeline",
      "detail-type": "CodePipeline Pipeline Execution State Change",
      resources: [`arn:aws:codepipeline:${region}:${accountId}:${name}`],
      detail: {
        pipeline: name,
        "execution-id": execution.id,
        "start-time": new Date(execution.startTime * 1000).toISOString(),
        state,
        version,
        "pipeline-execution-attempt": 1,
        "execution-trigger": { "trigger-type": execution.trigger, "trigger-detail": "" },
      },
    });
  }

  private report(execution: Execution, state: Activity["state"], detail: string): void {
    const { commit } = execution;
    this.aws.report({ stage: "pipeline", state, detail, ...(commit ? { commit } : {}) });
  }

  private stage(pipeline: string, name: string): StageState {
    const key = `${pipeline}/${name}`;
    const state = this.stages.get(key) ?? { lock: new StageLock<Execution>(), actions: new Map() };
    this.stages.set(key, state);
    return state;
  }

  private showStage(pipeline: string, stage: StageDeclaration): Answer {
    const { lock, latest, actions } = this.stage(pipeline, stage.name ?? "");
    const inbound = lock.waiting.map(({ id }) => ({ pipelineExecutionId: id, status: "InProgress" }));
    return {
      stageName: stage.name,
      inboundExecutions: inbound,
      ...(inbound.length > 0 ? { inboundExecution: inbound.at(-1) } : {}),
      ...(latest
        ? { latestExecution: { pipelineExecutionId: latest.execution.id, status: latest.status } }
        : {}),
      actionStates: (stage.actions ?? []).map(({ name = "" }) => {
        const state = actions.get(name);
        if (!state) return { actionName: name };
        const { status, lastStatusChange, summary, token, progress, decide, actionExecutionId } = state;
        return {
          actionName: name,
          latestExecution: {
            actionExecutionId,
            status,
            lastStatusChange,
            ...(summary ? { summary, errorDetails: { code: "JobFailed", message: summary } } : {}),
            ...(decide && token ? { token } : {}),
            ...(progress.externalExecutionId ? { externalExecutionId: progress.externalExecutionId } : {}),
          },
          ...(progress.revisionId ? { currentRevision: { revisionId: progress.revisionId } } : {}),
        };
      }),
    };
  }
}
