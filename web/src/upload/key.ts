// The API key that was typed in, for as long as the browser's tab is open, apart for each server.

const nameOf = (server: string) => `bozzetto-key ${server}`;

/** "" where there is none, or where the page may keep nothing. */
export function recall(server: string): string {
  try {
    return sessionStorage.getItem(nameOf(server)) ?? "";
  } catch {
    return "";
  }
}

export function remember(server: string, key: string): void {
  try {
    sessionStorage.setItem(nameOf(server), key);
  } catch {
    // A page in a sandbox: the key is asked for again.
  }
}
