// What is on screen, as it stands behind the # of the page's address.

export interface Address {
  job: string | null;
  /** The job beside it, while two are compared. */
  beside: string | null;
}

const ID = /^[0-9a-f]{32}$/;

/** `#job=ID` or `#job=ID&with=ID`; whatever else stands there is ignored. */
export function readAddress(hash: string): Address {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  const id = (name: string) => {
    const value = fields.get(name) ?? "";
    return ID.test(value) ? value : null;
  };
  const job = id("job");
  return { job, beside: job === null ? null : id("with") };
}

/** Whether it names a place in the page, as the link that skips to the form does. */
export function isPlace(hash: string): boolean {
  return hash.length > 1 && !hash.includes("=");
}

export function writeAddress({ job, beside }: Address): string {
  if (job === null) return "";
  return `#job=${job}${beside === null ? "" : `&with=${beside}`}`;
}
