// Light or dark: the system's choice until the visitor makes another; that one is remembered.

const KEY = "bozzetto-theme";
type Theme = "light" | "dark";

export function installTheme(toggle: HTMLButtonElement): void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const ofSystem = (): Theme => (system.matches ? "dark" : "light");
  const current = (): Theme => (root.dataset["theme"] as Theme | undefined) ?? ofSystem();
  const tell = () => toggle.setAttribute("aria-pressed", String(current() === "dark"));

  toggle.addEventListener("click", () => {
    const wanted: Theme = current() === "dark" ? "light" : "dark";
    // Back at the system's theme, the page follows it again.
    if (wanted === ofSystem()) delete root.dataset["theme"];
    else root.dataset["theme"] = wanted;
    remember(root.dataset["theme"] ?? null);
    tell();
  });
  system.addEventListener("change", tell);
  tell();
}

function remember(theme: string | null): void {
  try {
    if (theme === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // Without storage the choice holds for this visit.
  }
}
