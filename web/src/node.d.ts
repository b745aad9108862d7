// The little of Node that the build and the tests use. Node's own types would take the place of
// the browser's, timers first of all.

declare const process: { env: Record<string, string | undefined> };

declare module "node:child_process" {
  export function execFileSync(
    command: string,
    args: readonly string[],
    options?: { encoding?: "utf8"; input?: string },
  ): string;
}
