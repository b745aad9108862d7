export const STYLES = `
  :host {
    display: block;
    position: relative;
    min-height: 12rem;
    height: 24rem;
    overflow: hidden;
    container-type: size;
    color: var(--text);
    font: 15px/1.45 var(--font);
    background: radial-gradient(ellipse at 50% 38%, color-mix(in srgb, var(--surface), light-dark(#fff, #4a433c) 40%), var(--surface) 45%, var(--background) 110%);
    border: 1px solid var(--border);
    border-radius: var(--radius);
    -webkit-tap-highlight-color: transparent;
  }
  :host([hidden]) { display: none; }
  :host(:fullscreen) { border: 0; border-radius: 0; height: 100%; }

  canvas, .poster {
    position: absolute;
    inset: 0;
    width: 100%;
    height: 100%;
    border-radius: inherit;
  }
  canvas { cursor: grab; touch-action: pan-y; }
  :host(:fullscreen) canvas { touch-action: none; }
  canvas:active { cursor: grabbing; }
  canvas:focus-visible { outline-offset: -4px; }
  .poster { object-fit: contain; padding: 1rem 1rem 4rem; pointer-events: none; }

  .note {
    position: absolute;
    inset: 0.85rem auto auto 0.95rem;
    display: flex;
    align-items: center;
    gap: 0.5rem;
    margin: 0;
    color: var(--muted);
    font-size: 0.8125rem;
    font-variant-numeric: tabular-nums;
    pointer-events: none;
  }
  .note.forming::before {
    content: "";
    width: 0.5rem;
    height: 0.5rem;
    background: var(--accent);
    border-radius: 50%;
  }
  .busy {
    position: absolute;
    inset: 0 0 auto;
    height: 2px;
    overflow: hidden;
  }
  .busy::before {
    content: "";
    position: absolute;
    inset: 0;
    background: var(--accent);
    transform-origin: left;
  }
  @media (prefers-reduced-motion: no-preference) {
    .busy::before { animation: busy 1.4s ease-in-out infinite; }
    .note.forming::before { animation: pulse 1.4s ease-in-out infinite; }
    .message, .panel { animation: appear 0.16s ease-out; }
  }
  @keyframes busy {
    0% { transform: translateX(-100%) scaleX(0.6); }
    100% { transform: translateX(110%) scaleX(0.6); }
  }
  @keyframes pulse { 50% { opacity: 0.25; } }
  @keyframes appear { from { translate: 0 6px; } }

  .empty {
    position: absolute;
    inset: 0 0 1rem;
    display: grid;
    place-items: center;
    padding: 1.5rem;
    text-align: center;
    color: var(--muted);
    pointer-events: none;
  }
  .message {
    position: absolute;
    inset: 50% auto auto 50%;
    width: min(24rem, calc(100% - 2rem));
    max-height: calc(100% - 5.5rem);
    overflow: auto;
    padding: 1rem 1.15rem 1.1rem;
    transform: translate(-50%, calc(-50% - 1.25rem));
    background: var(--surface);
    border: 1px solid var(--border);
    border-radius: var(--radius);
    box-shadow: 0 8px 30px rgb(0 0 0 / 0.12);
  }
  .message h2, .panel h2 { margin: 0; font-size: 1rem; font-weight: 600; }
  .message h2 { color: var(--danger); }
  .message p { margin: 0.3rem 0 0; overflow-wrap: anywhere; }
  .message.aside { inset: 1rem auto auto 50%; transform: translateX(-50%); }
  .message button {
    margin: 0.8rem 0.5rem 0 0;
    padding: 0.5rem 1rem;
    font: 600 0.9375rem/1.3 var(--font);
    color: var(--on-accent);
    background: var(--accent);
    border: 0;
    border-radius: var(--control-radius);
    cursor: pointer;
  }

  .message .close { color: inherit; background: none; box-shadow: inset 0 0 0 1px var(--control-border); }

  .controls {
    position: absolute;
    inset: auto 0 0.75rem;
    display: grid;
    justify-items: center;
    gap: 0.5rem;
    pointer-events: none;
  }
  .controls > * { pointer-events: auto; }
  .toolbar {
    display: flex;
    gap: 2px;
    max-width: calc(100% - 1rem);
    padding: 4px;
    overflow-x: auto;
    scrollbar-width: none;
    background: color-mix(in srgb, var(--surface), transparent 8%);
    border: 1px solid var(--border);
    border-radius: calc(var(--control-radius) + 5px);
    box-shadow: 0 2px 12px rgb(0 0 0 / 0.07);
  }
  .tool, .kind {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: 0.4rem;
    flex: none;
    min-width: 2.5rem;
    height: 2.5rem;
    padding: 0;
    font: 500 0.875rem/1 var(--font);
    color: var(--text);
    background: none;
    border: 0;
    border-radius: var(--control-radius);
    cursor: pointer;
  }
  .tool:hover, .kind:hover { background: var(--hover); }
  .tool:focus-visible, .kind:focus-visible { outline-offset: -2px; }
  .tool[aria-pressed="true"], .tool[aria-expanded="true"] { color: var(--accent); background: var(--hover); }
  .tool:disabled { opacity: 0.4; cursor: default; }
  .tool img { width: 1.35rem; height: 1.35rem; }
  .icon { width: 1.3rem; height: 1.3rem; }
  .kinds { display: flex; gap: 2px; margin-right: 3px; padding-right: 5px; border-right: 1px solid var(--border); }
  .kind { padding: 0 0.75rem 0 0.6rem; }
  .kind[aria-pressed="true"] { color: var(--on-accent); background: var(--accent); }
  @container (max-width: 30rem) {
    .kind { padding: 0; }
    .kind span { display: none; }
    .wide { display: none; }
  }
  .minimal .full { display: none; }
  .files-only > :not(.downloads) { display: none; }

  .panel {
    width: min(18rem, calc(100% - 1rem));
    overflow: hidden;
    background: var(--surface);
    border: 1px solid var(--border);
    border-radius: var(--radius);
    box-shadow: 0 8px 30px rgb(0 0 0 / 0.14);
  }
  .panel > div {
    max-height: calc(100cqh - 6rem);
    overflow: auto;
    padding: 0.85rem 1rem 0.95rem;
  }
  .panel > div:focus-visible { outline-offset: -3px; border-radius: inherit; }
  .panel h2 { margin-bottom: 0.55rem; }
  .panel p { margin: 0.7rem 0 0; color: var(--muted); font-size: 0.875rem; }
  fieldset { margin: 0; padding: 0; border: 0; }
  legend { padding: 0 0 0.3rem; color: var(--muted); font-size: 0.875rem; }
  .choices { display: grid; grid-template-columns: repeat(4, auto); gap: 2px; padding: 3px; background: var(--background); border-radius: var(--control-radius); }
  .choices span { display: block; padding: 0.4rem 0.3rem; font-size: 0.875rem; text-align: center; border-radius: calc(var(--control-radius) - 2px); cursor: pointer; }
  .choices input:checked + span { color: var(--on-accent); background: var(--accent); }
  .choices input:focus-visible + span { outline: 2px solid var(--accent); outline-offset: 2px; }
  .row { display: flex; align-items: center; justify-content: space-between; gap: 1rem; min-height: 2.25rem; margin-top: 0.35rem; }
  .row label { flex: none; }
  input { accent-color: var(--accent); }
  .row input[type="range"] { flex: 1; min-width: 0; }
  .row input[type="checkbox"] { width: 1.15rem; height: 1.15rem; margin: 0; }

  .files { margin: 0 -0.4rem -0.3rem; padding: 0; list-style: none; }
  .files a, .files button {
    display: flex;
    justify-content: space-between;
    gap: 1rem;
    width: 100%;
    padding: 0.5rem 0.4rem;
    font: inherit;
    color: inherit;
    text-align: left;
    text-decoration: none;
    background: none;
    border: 0;
    border-radius: var(--control-radius);
    cursor: pointer;
  }
  .files a:hover, .files button:hover { background: var(--hover); }
  .files b { font-weight: 500; overflow-wrap: anywhere; }
  .files span { color: var(--muted); white-space: nowrap; font-variant-numeric: tabular-nums; }
  dl { display: grid; grid-template-columns: auto 1fr; gap: 0.25rem 1rem; margin: 0; font-size: 0.9375rem; }
  dt { color: var(--muted); white-space: nowrap; }
  dd { margin: 0; }
`;
