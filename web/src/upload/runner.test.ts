import { ConnectionError, type Bozzetto, type Job } from "bozzetto-client";
import { expect, it, vi } from "vitest";
import { makeJob } from "../page/testing";
import { JobRunner, type Host } from "./runner";
import type { Status } from "./status";

const status = new Proxy({}, { get: () => () => {} }) as Status;

it("comes back to a job that the server has taken, and does not send it again", async () => {
  const queued = makeJob({ status: "queued" });
  const client = {
    submit: vi.fn(async () => queued),
    wait: vi.fn<() => Promise<Job>>().mockRejectedValueOnce(new ConnectionError("off")),
    job: vi.fn(async () => makeJob()),
  };
  const host = Object.assign(new EventTarget(), {
    client: client as unknown as Bozzetto,
    getAttribute: () => null,
  }) as unknown as Host;
  let again: (() => void) | null = null;
  const onError = (_: unknown, retry: (() => void) | null) => (again = retry);
  const runner = new JobRunner(host, status, { onBusy: () => {}, onError });

  expect(await runner.submit(new Blob(), {})).toBeNull();
  const done = new Promise((resolve) => host.addEventListener("bozzetto-done", resolve));
  again!();
  await done;
  expect(client.submit).toHaveBeenCalledOnce();
  expect(client.job).toHaveBeenCalledWith(queued.id, expect.anything());
  expect(runner.job?.status).toBe("succeeded");
});
