import { sheet, THEME } from "../shared/theme";

// Every target is at least 2.75rem high: 44 pixels, as far as a thumb needs.
export const STYLES = sheet(
  THEME,
  `
  :host { display: block; container-type: inline-size; color: var(--text); font: 1rem/1.5 var(--font); }
  form {
    display: grid;
    grid-template-columns: minmax(0, 1fr);
    gap: 0.9rem;
    padding: 1.1rem 1.1rem 0;
    background: var(--surface);
    border: 1px solid var(--border);
    border-radius: var(--radius);
  }
  p { margin: 0; }
  .note { color: var(--muted); font-size: 0.875rem; line-height: 1.45; }
  .icon { width: 1.5em; height: 1.5em; flex: none; }

  button, input, select { font: inherit; color: inherit; }
  button {
    min-height: 2.75rem;
    padding: 0.5rem 1.1rem;
    font-weight: 600;
    border: 1px solid transparent;
    border-radius: var(--control-radius);
    cursor: pointer;
    touch-action: manipulation;
  }
  button:disabled { opacity: 0.5; cursor: default; }
  .primary { color: var(--on-accent); background: var(--accent); }
  .primary:hover:enabled { background: color-mix(in srgb, var(--accent), var(--text) 14%); }
  .plain { background: none; border-color: var(--control-border); }
  .plain:hover { background: var(--hover); }

  .source { display: grid; gap: 0.6rem; }
  .drop {
    position: relative;
    display: grid;
    place-items: center;
    width: 100%;
    height: 13rem;
    padding: 0.6rem;
    overflow: hidden;
    font-weight: 400;
    color: var(--muted);
    background: var(--background);
    border: 1.5px dashed var(--control-border);
    border-radius: var(--radius);
    transition: border-color 0.15s, background 0.15s;
  }
  .drop:hover, .drop.over { border-color: var(--accent); }
  .drop.over { background: color-mix(in srgb, var(--background), var(--accent) 12%); }
  .drop:has(img:not([hidden])) { border-style: solid; border-color: var(--border); }
  .drop img { width: 100%; height: 100%; min-height: 0; object-fit: contain; }
  .drop.busy > * { opacity: 0.4; }
  .prompt { display: grid; justify-items: center; line-height: 1.4; }
  .prompt .icon { width: 2.2rem; height: 2.2rem; margin-bottom: 0.5rem; color: var(--accent); }
  .prompt b { color: var(--text); font-size: 1.05rem; }
  .prompt small { margin-top: 0.5rem; font-size: 0.8125rem; }
  @media (pointer: coarse) { .prompt .desk { display: none; } }
  .change {
    position: absolute;
    inset: auto auto 0.6rem;
    padding: 0.15rem 0.8rem;
    color: var(--text);
    font-size: 0.875rem;
    background: color-mix(in srgb, var(--surface), transparent 8%);
    border: 1px solid var(--border);
    border-radius: 1rem;
    opacity: 0;
    transition: opacity 0.15s;
  }
  .drop:is(:hover, :focus-visible) .change { opacity: 1; }
  @media (hover: none) {
    .change { opacity: 1; }
    .drop:has(img:not([hidden])) { padding-bottom: 2.8rem; }
  }

  .tiles { display: flex; flex-wrap: wrap; gap: 0.5rem; }
  .tiles:not(:has(> :not([hidden]))) { display: none; }
  .tile {
    display: grid;
    place-items: center;
    width: 3.25rem;
    height: 3.25rem;
    padding: 0;
    overflow: hidden;
    color: var(--muted);
    background: var(--background);
    border-color: var(--border);
    transition: border-color 0.15s;
  }
  .tile:hover { border-color: var(--accent); color: var(--accent); }
  .tile img { width: 100%; height: 100%; object-fit: cover; }

  .rows, .choice { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0.5rem; }
  .row { display: flex; align-items: center; gap: 0.6rem; min-height: 2.75rem; }
  .row > :is(label, .name) { flex: 0 0 6.15rem; color: var(--muted); }
  .row > label::first-letter { text-transform: uppercase; }
  .row > :is(select, input, .checks) { flex: 1; min-width: 0; }
  .row:has(> .note) { flex-wrap: wrap; row-gap: 0.2rem; }
  .row > .note { flex: 1 0 100%; overflow-wrap: anywhere; }
  .row output { flex: 0 0 2rem; text-align: right; font-variant-numeric: tabular-nums; }
  select, input:is([type="number"], [type="text"], [type="password"]) {
    height: 2.75rem;
    padding: 0 0.6rem;
    background: var(--background);
    border: 1px solid var(--control-border);
    border-radius: var(--control-radius);
  }
  select {
    padding-right: 1.5rem;
    appearance: none;
    text-overflow: ellipsis;
    cursor: pointer;
    background:
      linear-gradient(45deg, transparent 50%, currentColor 50%) right calc(0.6rem + 5px) center / 5px 5px no-repeat,
      linear-gradient(-45deg, transparent 50%, currentColor 50%) right 0.6rem center / 5px 5px no-repeat,
      var(--background);
  }
  option { color: var(--text); background: var(--surface); }
  /* What has focus must not hide behind the foot. */
  :is(input, select, summary) { scroll-margin-block: 1rem 8rem; }
  ::placeholder { color: var(--muted); opacity: 1; }
  input:is([type="range"], [type="checkbox"]) { margin: 0; accent-color: var(--accent); }
  input[type="range"] { height: 2.75rem; cursor: pointer; }
  #about { margin-top: 0.35rem; }

  .options { border-top: 1px solid var(--border); }
  summary {
    display: flex;
    align-items: center;
    gap: 0.5rem;
    min-height: 2.75rem;
    color: var(--muted);
    border-radius: var(--control-radius);
    cursor: pointer;
    list-style: none;
  }
  summary::-webkit-details-marker { display: none; }
  summary::before {
    content: "";
    width: 0.45rem;
    height: 0.45rem;
    margin: 0 0.2rem;
    border: solid currentColor;
    border-width: 0 1.75px 1.75px 0;
    transform: rotate(-45deg);
    transition: transform 0.15s;
  }
  details[open] > summary::before { transform: rotate(45deg); }
  summary:hover { color: var(--text); }
  fieldset { margin: 0.9rem 0 0; padding: 0; border: 0; min-width: 0; }
  legend { padding: 0; font-size: 0.875rem; font-weight: 600; }
  .checks { display: flex; flex-wrap: wrap; gap: 0 0.7rem; }
  .check { display: flex; align-items: center; gap: 0.4rem; min-height: 2.75rem; cursor: pointer; }
  .check input { width: 1.1rem; height: 1.1rem; }
  .files .row { align-items: start; }
  .row > .name { flex-basis: 4.6rem; line-height: 2.75rem; }

  .foot {
    position: sticky;
    bottom: 0;
    z-index: 1;
    display: grid;
    grid-template-columns: minmax(0, 1fr);
    gap: 0.7rem;
    margin: -0.9rem -1.1rem 0;
    padding: 0.9rem 1.1rem 1.1rem;
    background: linear-gradient(transparent, var(--surface) 0.9rem);
    border-radius: 0 0 var(--radius) var(--radius);
  }
  .actions { display: flex; gap: 0.6rem; }
  .actions > * { flex: 1; }
  .telling { position: relative; }
  progress {
    display: block;
    width: 100%;
    height: 0.4rem;
    appearance: none;
    overflow: hidden;
    background: color-mix(in srgb, var(--border), var(--surface) 25%);
    border: 0;
    border-radius: 1rem;
  }
  progress::-webkit-progress-bar { background: none; }
  progress::-webkit-progress-value { background: var(--accent); border-radius: 1rem; transition: width 0.25s; }
  progress::-moz-progress-bar { background: var(--accent); border-radius: 1rem; }
  progress:not([value]) {
    background-image: linear-gradient(90deg, transparent, var(--accent), transparent);
    background-size: 40% 100%;
    background-repeat: no-repeat;
    animation: wait 1.4s ease-in-out infinite alternate;
  }
  progress:not([value])::-moz-progress-bar { background: none; }
  @keyframes wait { from { background-position: -20% 0; } to { background-position: 120% 0; } }
  .said { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 0.8rem; margin-top: 0.35rem; }
  .said { color: var(--muted); font-size: 0.9rem; font-variant-numeric: tabular-nums; }
  .done .words { color: var(--text); }
  .done progress { display: none; }
  .error {
    display: flex;
    gap: 0.7rem;
    padding: 0.8rem 0.9rem;
    overflow-wrap: anywhere;
    font-size: 0.9375rem;
    background: color-mix(in srgb, var(--surface), var(--danger) 10%);
    border-radius: var(--control-radius);
  }
  .error .icon { margin-top: -0.05rem; }
  .error :is(strong, .icon) { color: var(--danger); }
  .error p { margin-top: 0.2rem; }
  .error .request { color: var(--muted); font-size: 0.8125rem; }
  .error button { margin-top: 0.6rem; }

  .camera {
    width: min(40rem, 100vw - 2rem);
    padding: 1rem;
    color: inherit;
    background: var(--surface);
    border: 1px solid var(--border);
    border-radius: var(--radius);
  }
  .camera[open] { display: grid; gap: 0.7rem; }
  .camera::backdrop { background: rgb(0 0 0 / 55%); }
  .camera video { display: block; width: 100%; max-height: 60vh; background: #000; border-radius: var(--control-radius); }

  @container (max-width: 20rem) {
    .row { flex-wrap: wrap; gap: 0 0.8rem; }
    .row > :is(label, .name) { flex-basis: 100%; line-height: 1.5; }
  }
  @media (max-height: 32rem) { .foot { position: static; } }
  @media (prefers-reduced-motion: reduce) {
    *, ::before { transition: none !important; }
    progress:not([value]) { animation-duration: 4s; }
  }
  `,
);
