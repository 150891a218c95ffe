import type { LogView, Product, PushView, StageView } from "../state.js";
import { age, duration, html, setAttribute, setText } from "./dom.js";

/** Lines of a log that the page keeps; the server keeps as many. */
const MOST_LINES = 2000;

/** Says a state without its colour. */
const SIGNS = {
  "not yet": "·",
  started: "▸",
  waiting: "…",
  succeeded: "✓",
  failed: "✕",
  skipped: "–",
} as const;

/** One push of the list: a line that opens to its stages, its products and its log. */
export class PushRow {
  readonly element = html("li", { class: "push" });
  private view: PushView;

  private readonly badge = html("span", { class: "badge" });
  private readonly branch = html("bdi", { class: "branch" });
  private readonly commit = html("code", { class: "commit" });
  private readonly message = html("bdi", { class: "message" });
  private readonly author = html("bdi", { class: "author" });
  private readonly time = html("time", { class: "age" });
  private readonly strip = html("span", { class: "strip", "aria-hidden": "true" });
  private readonly reason = html("p", { class: "reason" });
  private readonly stages = html("ol", { class: "stages" });
  private readonly products = html("dl", { class: "products" });
  private readonly log = html("pre", { class: "log", tabindex: "0", "aria-label": "Build log", hidden: "" });
  private readonly rows = new Map<
    string,
    { item: HTMLElement; sign: HTMLElement; took: HTMLElement; detail: HTMLElement; mark: HTMLElement }
  >();
  private shownProducts = "";

  constructor(view: PushView) {
    this.view = view;
    const summary = html(
      "summary",
      {},
      this.badge,
      html("span", { class: "what" }, this.branch, " ", this.commit, " ", this.message),
      html("span", { class: "who" }, this.author, " ", this.time),
      this.strip,
    );
    const body = html("div", { class: "body" }, this.reason, this.stages, this.products, this.log);
    this.element.append(html("details", {}, summary, body));
    this.update(view);
  }

  update(view: PushView): void {
    this.view = view;
    setAttribute(this.element, "data-outcome", view.outcome);
    const now = view.stages.findLast(({ state }) => state !== "not yet");
    setText(this.badge, view.outcome === "under way" && now ? now.name : view.outcome);
    setText(this.branch, view.kind === "branch" ? view.name : `${view.kind} ${view.name}`);
    setText(this.commit, view.commit);
    setText(this.message, view.message);
    setText(this.author, view.author);
    setAttribute(this.time, "datetime", new Date(view.at).toISOString());
    setText(this.reason, view.reason);
    for (const stage of view.stages) this.showStage(stage);
    this.showProducts(view.products);
    this.tick();
  }

  /** Shows lines of the log; those before `from` are known or gone. */
  addLines({ lines }: LogView): void {
    const { log } = this;
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
    log.hidden = false;
    log.append(...lines.map((line) => html("span", {}, `${line}\n`)));
    while (log.childElementCount > MOST_LINES) log.firstElementChild?.remove();
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  }

  clearLog(): void {
    this.log.replaceChildren();
  }

  /** Lets ages and running times go on. */
  tick(): void {
    setText(this.time, age(this.view.at));
    for (const stage of this.view.stages) {
      const row = this.rows.get(stage.name);
      if (row) setText(row.took, timeOf(stage));
    }
  }

  private showStage(stage: StageView): void {
    const row = this.rows.get(stage.name) ?? this.addStage(stage.name);
    setAttribute(row.item, "data-state", stage.state);
    setAttribute(row.mark, "data-state", stage.state);
    setText(row.sign, SIGNS[stage.state]);
    setAttribute(row.sign, "title", stage.state);
    setAttribute(row.sign, "aria-label", stage.state);
    setText(row.detail, stage.detail);
  }

  private addStage(name: string) {
    const row = {
      sign: html("span", { class: "sign", role: "img" }),
      took: html("span", { class: "took" }),
      detail: html("bdi", { class: "detail" }),
      mark: html("span"),
      item: html("li"),
    };
    row.item.append(row.sign, html("span", { class: "stage" }, name), row.took, row.detail);
    this.stages.append(row.item);
    this.strip.append(row.mark);
    this.rows.set(name, row);
    return row;
  }

  private showProducts(products: readonly Product[]): void {
    const text = JSON.stringify(products);
    if (text === this.shownProducts) return;
    this.shownProducts = text;
    this.products.replaceChildren(
      ...products.flatMap(({ name, text: value, isFile }) => [
        html("dt", {}, name),
        html(
          "dd",
          {},
          isFile
            ? html(
                "details",
                {},
                html("summary", {}, `show ${name}`),
                html("pre", { tabindex: "0", "aria-label": name }, value),
              )
            : html("code", {}, value),
        ),
      ]),
    );
  }
}

function timeOf({ startedAt, endedAt }: StageView): string {
  if (startedAt === undefined) return "";
  return duration((endedAt ?? Date.now()) - startedAt);
}
