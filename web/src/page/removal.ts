// Taking jobs out of the history, and off the server where that is wanted.

import { BozzettoError, type Bozzetto } from "bozzetto-client";
import { ask } from "./ask";
import type { Notice } from "./notice";
import type { JobRecord, JobRecords } from "./records";

/** Asks first. Returns the ids of those that are gone from the list. */
export async function removeRecords(
  dialog: HTMLDialogElement,
  chosen: readonly JobRecord[],
  records: JobRecords,
  client: Bozzetto,
  notice: Notice,
): Promise<readonly string[]> {
  const kept = chosen.filter((record) => record.state !== "gone");
  const many = chosen.length > 1;
  const answer =
    kept.length === 0 && !many
      ? "list"
      : await ask(dialog, {
          title: many ? `Delete all ${chosen.length} objects?` : "Delete this object?",
          text: "Links to what is deleted on the server stop working, for everyone.",
          answers: [
            { value: "server", text: "Delete here and on the server", danger: true },
            { value: "list", text: "Only take off this list" },
          ],
        });
  if (answer === null) return [];
  const ids = chosen.map((record) => record.id);
  try {
    if (answer === "server") for (const { id } of kept) await removeFromServer(client, id);
  } catch (error) {
    notice.tell(error, null);
    return [];
  }
  records.forget(...ids);
  return ids;
}

async function removeFromServer(client: Bozzetto, id: string): Promise<void> {
  try {
    await client.delete(id);
  } catch (error) {
    if (!(error instanceof BozzettoError)) throw error;
    // A job that still runs is stopped, and then kept like any other for its time.
    if (error.code === "not_final") await client.cancel(id);
    else if (error.status !== 404 && error.status !== 410) throw error;
  }
}
