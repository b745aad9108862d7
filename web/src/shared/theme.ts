// The custom properties that both elements take, and what they are when the page sets none.
//
// They are read through short names, so that a page may set them on the element or on any ancestor.
// Light or dark follows the `color-scheme` that the element inherits: a page without one is light.

export const THEME = `
  :host {
    --accent: var(--bozzetto-accent, light-dark(#a8492a, #e08a63));
    --on-accent: var(--bozzetto-on-accent, light-dark(#fff, #1d1410));
    --background: var(--bozzetto-background, light-dark(#f4f1ec, #171513));
    --surface: var(--bozzetto-surface, light-dark(#fffdfa, #211e1b));
    --text: var(--bozzetto-text, light-dark(#2a2622, #ece6de));
    --muted: var(--bozzetto-muted, light-dark(#6a6259, #a89f93));
    --border: var(--bozzetto-border, light-dark(#ddd6cb, #3a3530));
    --danger: var(--bozzetto-danger, light-dark(#a3271f, #ff9d90));
    --radius: var(--bozzetto-radius, 10px);
    --font: var(--bozzetto-font, system-ui, sans-serif);
    /* Of controls, which need more contrast with the surface than lines between things do. */
    --control-border: color-mix(in srgb, var(--border), var(--muted) 55%);
    --control-radius: min(var(--radius), 8px);
    --hover: color-mix(in srgb, var(--surface), var(--text) 6%);
  }
  *, ::before, ::after { box-sizing: border-box; }
  [hidden] { display: none !important; }
  :focus-visible {
    outline: 2px solid var(--accent);
    outline-offset: 2px;
  }
  .visually-hidden {
    position: absolute;
    width: 1px;
    height: 1px;
    margin: -1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
`;

/** A sheet for `adoptedStyleSheets`: the page's policy allows no inline style. */
export function sheet(...css: string[]): CSSStyleSheet {
  const made = new CSSStyleSheet();
  made.replaceSync(css.join("\n"));
  return made;
}
