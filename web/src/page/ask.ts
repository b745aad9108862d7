// One question in a dialog.

import { h } from "../shared/dom";

export interface Question {
  title: string;
  text: string;
  answers: readonly { value: string; text: string; danger?: boolean }[];
}

/** The value of the answer; null where the dialog was closed. */
export function ask(dialog: HTMLDialogElement, question: Question): Promise<string | null> {
  const form = h("form", { method: "dialog" });
  const answers = question.answers.map(({ value, text, danger = false }) =>
    h("button", { value, class: danger ? "danger" : "plain" }, text),
  );
  form.append(
    h("h2", { id: "ask-title" }, question.title),
    h("p", {}, question.text),
    h("div", { class: "answers" }, ...answers, h("button", { value: "", autofocus: true }, "Keep")),
  );
  dialog.replaceChildren(form);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue || null), { once: true });
  });
}
