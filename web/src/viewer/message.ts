import { h } from "../shared/dom";
import { titleOf, type ViewerError } from "./errors";

/** What went wrong, in front of the picture. */
export class Message {
  readonly element = h("div", { class: "message", role: "alert", hidden: true });

  get shown(): boolean {
    return !this.element.hidden;
  }

  /** @param retry null where there is no use in it. */
  show(error: ViewerError, retry: (() => void) | null, closable: boolean): void {
    const button = (label: string, style: string, act: () => void) => {
      const click = () => {
        this.hide();
        act();
      };
      return h("button", { type: "button", class: style, click }, label);
    };
    this.element.replaceChildren(h("h2", {}, titleOf(error)), h("p", {}, error.detail));
    if (retry) this.element.append(button("Try again", "again", retry));
    if (closable) this.element.append(button("Close", "close", () => {}));
    // Without WebGL there is a poster to be seen, and nothing to be clicked away.
    this.element.classList.toggle("aside", error.code === "no_webgl");
    this.element.hidden = false;
  }

  hide(): void {
    this.element.hidden = true;
  }
}
