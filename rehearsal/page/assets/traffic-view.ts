import type { Colour, Traffic, TrafficSample } from "../state.js";
import { byId, html, setAttribute, setText, svg } from "./dom.js";

const COLOURS: readonly Colour[] = ["blue", "green"];

/** Seconds that the little graphs show, and their size in units of their own. */
const [SECONDS, HEIGHT] = [60, 32];

/** The two listeners as bars that are divided among blue and green; below, both colours with their targets. */
export class TrafficView {
  private readonly root = byId("traffic");
  private readonly listeners = new Map<
    string,
    { row: HTMLElement; parts: Record<Colour, HTMLElement>; says: HTMLElement }
  >();
  private readonly groups = new Map<Colour, Group>();
  private readonly bars = html("div", { class: "listeners" });
  private samples: TrafficSample[] = [];

  constructor() {
    const cards = html("div", { class: "groups" });
    for (const colour of COLOURS) {
      const group = new Group(colour);
      this.groups.set(colour, group);
      cards.append(group.element);
    }
    this.root.append(this.bars, cards);
  }

  update({ listeners, groups }: Traffic): void {
    this.root.hidden = listeners.length === 0;
    byId("traffic-empty").hidden = listeners.length > 0;
    for (const [name, { row }] of this.listeners) {
      if (listeners.some((one) => one.name === name)) continue;
      row.remove();
      this.listeners.delete(name);
    }
    for (const { name, port, shares } of listeners) {
      const { parts, says } = this.listeners.get(name) ?? this.addListener(name, port);
      for (const colour of COLOURS) {
        const share = Math.round(shares[colour]);
        parts[colour].style.flexGrow = String(share);
        setText(parts[colour], share >= 12 ? `${colour} ${share} %` : "");
      }
      setText(says, COLOURS.map((colour) => `${colour} ${Math.round(shares[colour])} percent`).join(", "));
    }
    for (const colour of COLOURS) {
      const { targets = [], version = "" } = groups.find((one) => one.colour === colour) ?? {};
      this.groups.get(colour)?.showTargets(targets);
      const gets = listeners.filter(({ shares }) => shares[colour] > 0).map(({ name }) => name);
      this.groups.get(colour)?.showUse(gets, version);
    }
  }

  reset(samples: readonly TrafficSample[]): void {
    this.samples = [...samples];
    this.draw();
  }

  add(sample: TrafficSample): void {
    this.samples = [...this.samples, sample].slice(-SECONDS);
    this.draw();
  }

  private draw(): void {
    const highest = Math.max(1, ...this.samples.flatMap(({ requests }) => [requests.blue, requests.green]));
    for (const [colour, group] of this.groups) group.draw(this.samples, colour, highest);
  }

  private addListener(name: string, port: number) {
    const parts = {
      blue: html("span", { class: "part", "data-colour": "blue" }),
      green: html("span", { class: "part", "data-colour": "green" }),
    };
    const says = html("span", { class: "unseen" });
    const row = html(
      "div",
      { class: "listener" },
      html("span", { class: "name" }, name, " ", html("span", { class: "port" }, `:${port}`)),
      html("span", { class: "bar", "aria-hidden": "true" }, parts.blue, parts.green),
      says,
    );
    this.bars.append(row);
    const listener = { row, parts, says };
    this.listeners.set(name, listener);
    return listener;
  }
}

/** One colour: its targets, and its requests of the last minute. */
class Group {
  readonly element: HTMLElement;
  private readonly targets = html("ul", { class: "targets" });
  private readonly use = html("span", { class: "use" });
  private readonly version = html("code", { class: "version" });
  private readonly rate = html("span", { class: "rate" });
  private readonly failures = html("span", { class: "failures" });
  private readonly line = svg("path", { class: "line" });
  private readonly bad = svg("path", { class: "bad" });
  private shown = "";

  constructor(colour: Colour) {
    this.element = html(
      "div",
      { class: "group", "data-colour": colour },
      html("h3", {}, colour, " ", this.version, " ", this.use),
      html("p", { class: "numbers" }, this.rate, " ", this.failures),
      this.targets,
    );
    const graph = svg(
      "svg",
      {
        class: "graph",
        viewBox: `0 0 ${SECONDS} ${HEIGHT}`,
        preserveAspectRatio: "none",
        "aria-hidden": "true",
      },
      this.line,
      this.bad,
    );
    this.element.insertBefore(graph, this.targets);
  }

  showUse(listeners: readonly string[], version: string): void {
    setText(this.version, version);
    setText(this.use, listeners.length > 0 ? `on ${listeners.join(" and ")}` : "idle");
    this.element.classList.toggle("idle", listeners.length === 0);
  }

  showTargets(targets: Traffic["groups"][number]["targets"]): void {
    const text = JSON.stringify(targets);
    if (text === this.shown) return;
    this.shown = text;
    this.targets.replaceChildren(
      ...targets.map(({ id, state, reason }) =>
        html(
          "li",
          { "data-health": state, title: reason },
          html("span", { class: "dot", "aria-hidden": "true" }),
          `${id} ${state}`,
        ),
      ),
    );
    if (targets.length === 0) this.targets.append(html("li", { class: "none" }, "no targets"));
  }

  draw(samples: readonly TrafficSample[], colour: Colour, highest: number): void {
    const last = samples.at(-1);
    setText(this.rate, `${last?.requests[colour] ?? 0} requests/s`);
    const failed = samples.reduce((sum, { failures }) => sum + failures[colour], 0);
    setText(
      this.failures,
      failed > 0 ? `${failed} failed in the last minute` : "none failed in the last minute",
    );
    setAttribute(this.failures, "data-bad", String(failed > 0));
    const x = (index: number) => SECONDS - samples.length + index;
    const y = (count: number) => (HEIGHT - 1 - (count / highest) * (HEIGHT - 3)).toFixed(1);
    const steps = samples.map(({ requests }, index) => `L${x(index)} ${y(requests[colour])}`).join("");
    setAttribute(
      this.line,
      "d",
      samples.length > 0 ? `M${x(0)} ${HEIGHT}${steps}L${x(samples.length - 1)} ${HEIGHT}Z` : "M0 0",
    );
    const bars = samples.map(({ failures }, index) =>
      failures[colour] > 0 ? `M${x(index)} ${HEIGHT}V${y(failures[colour])}` : "",
    );
    setAttribute(this.bad, "d", bars.join("") || "M0 0");
  }
}
