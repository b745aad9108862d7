// Pictures to try it with: a list of names and addresses in a JSON file.

export interface Example {
  name: string;
  url: string;
}

/** Those of the list that are what they should be; addresses are relative to the list. */
export function readExamples(body: unknown, base: string): Example[] {
  if (!Array.isArray(body)) return [];
  return body.flatMap((item: unknown) => {
    const { name, url } = (item ?? {}) as Partial<Record<keyof Example, unknown>>;
    if (typeof name !== "string" || typeof url !== "string" || !URL.canParse(url, base)) return [];
    const address = new URL(url, base);
    return /^https?:$/.test(address.protocol) ? [{ name, url: address.href }] : [];
  });
}

/** None where the list cannot be had: they are a nicety. */
export async function loadExamples(url: string, signal: AbortSignal): Promise<Example[]> {
  try {
    const response = await fetch(url, { signal });
    return response.ok ? readExamples(await response.json(), response.url) : [];
  } catch {
    return [];
  }
}
