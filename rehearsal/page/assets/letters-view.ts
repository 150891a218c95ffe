import type { DeadLetter } from "../state.js";
import { byId, html, setText } from "./dom.js";

/** The dead letters, each with the button that sends it on its way again. */
export class LettersView {
  private readonly list = byId("letters");
  private readonly answer = byId("letters-answer");
  private readonly token = document.querySelector<HTMLMetaElement>('meta[name="token"]')?.content ?? "";

  update(letters: readonly DeadLetter[]): void {
    byId("letters-empty").hidden = letters.length > 0;
    const hadFocus = this.list.contains(document.activeElement);
    this.list.replaceChildren(...letters.map((letter) => this.item(letter)));
    // The button that was pressed is gone with its letter.
    if (hadFocus) (this.list.querySelector("button") ?? byId("pushes-title")).focus();
  }

  private item(letter: DeadLetter): HTMLElement {
    const { about, error, queue, at, replays } = letter;
    const when = new Date(at);
    const item = html(
      "li",
      {},
      html("bdi", { class: "about" }, about),
      html("bdi", { class: "error" }, error),
      html(
        "span",
        { class: "queue" },
        queue,
        ", ",
        html("time", { datetime: when.toISOString() }, when.toLocaleTimeString()),
      ),
    );
    if (replays) {
      const button = html(
        "button",
        { type: "button", title: replays },
        "Replay ",
        html("span", { class: "unseen" }, about),
      );
      button.addEventListener("click", () => void this.replay(letter, button));
      item.append(button);
    }
    return item;
  }

  private async replay({ queue, id, about }: DeadLetter, button: HTMLButtonElement): Promise<void> {
    button.disabled = true;
    try {
      const response = await fetch("/replay", {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Rehearsal-Token": this.token },
        body: JSON.stringify({ queue, id }),
      });
      setText(this.answer, `${about}: ${(await response.text()).trim()}`);
      button.disabled = response.ok;
    } catch {
      setText(this.answer, `${about}: the rehearsal does not answer`);
      button.disabled = false;
    }
  }
}
