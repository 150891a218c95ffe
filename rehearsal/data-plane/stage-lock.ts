/**
 * Who is in a stage of a pipeline, and who waits for it: "stages are locked when an execution is being
 * processed", "waiting executions are superseded by more recent executions".
 *
 * @see https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html
 */
export class StageLock<Execution> {
  private readonly inside = new Set<Execution>();
  private queue: { execution: Execution; admit(isAdmitted: boolean): void }[] = [];

  /** Executions that wait, the longest waiting first. */
  get waiting(): Execution[] {
    return this.queue.map(({ execution }) => execution);
  }

  /** Settles with `true` when the execution is in the stage, `false` when a newer one has taken its place. */
  enter(execution: Execution, mode: string): Promise<boolean> {
    if (mode === "PARALLEL" || this.inside.size === 0) {
      this.inside.add(execution);
      return Promise.resolve(true);
    }
    if (mode === "SUPERSEDED") {
      for (const { admit } of this.queue) admit(false);
      this.queue = [];
    }
    return new Promise((admit) => {
      this.queue.push({ execution, admit });
    });
  }

  /** Frees the stage for the next one. */
  leave(execution: Execution): void {
    this.inside.delete(execution);
    if (this.inside.size > 0) return;
    const next = this.queue.shift();
    if (!next) return;
    this.inside.add(next.execution);
    next.admit(true);
  }
}
