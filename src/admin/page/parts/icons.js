// Drawn here, so that no font decides what a state looks like. All on a grid of 16, in the colour of the text.
import { html } from '../ui.js';

const PATHS = {
  overview: 'M2 2h5v6H2zM9 2h5v3H9zM9 7h5v7H9zM2 10h5v4H2z',
  endpoints: 'M2.5 2.5h11v4h-11zM2.5 9.5h11v4h-11zM5 4.5h.01M5 11.5h.01',
  requests: 'M2 3.5h12M2 8h12M2 12.5h8',
  system: 'M8 10.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4zM8 1.5v2M8 12.5v2M1.5 8h2M12.5 8h2M3.4 3.4l1.4 1.4M11.2 11.2l1.4 1.4M3.4 12.6l1.4-1.4M11.2 4.8l1.4-1.4',
  search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.3 14 14',
  pause: 'M5 3v10M11 3v10',
  play: 'M4.5 2.8v10.4L13 8z',
  plus: 'M8 3v10M3 8h10',
  edit: 'm3 13 .6-2.8 7.6-7.6 2.2 2.2-7.6 7.6zM9.8 4l2.2 2.2',
  trash: 'M2.5 4h11M6 4V2.5h4V4M4 4l.6 9.5h6.8L12 4M6.7 6.8v4M9.3 6.8v4',
  bolt: 'M9 1.5 3.5 9H7l-.5 5.5L12.5 7H9z',
  reset: 'M3 8a5 5 0 1 1 1.6 3.7M3 12.5V8.8h3.7',
  power: 'M8 1.8v6M4.6 4.2a5 5 0 1 0 6.8 0',
  grip: 'M6 3.5h.01M10 3.5h.01M6 8h.01M10 8h.01M6 12.5h.01M10 12.5h.01',
  up: 'm4 9.5 4-4 4 4',
  down: 'm4 6.5 4 4 4-4',
  right: 'm6 3.5 4.5 4.5L6 12.5',
  left: 'M10 3.5 5.5 8l4.5 4.5',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  link: 'M6.8 9.2a2.6 2.6 0 0 0 3.8.2l2.2-2.2a2.7 2.7 0 0 0-3.8-3.8l-1 1M9.2 6.8a2.6 2.6 0 0 0-3.8-.2L3.2 8.8A2.7 2.7 0 0 0 7 12.6l1-1',
  close: 'm3.5 3.5 9 9M12.5 3.5l-9 9',
  check: 'm3 8.5 3.2 3.2L13 4.6',
  alert: 'M8 2 1.5 13.5h13zM8 6.5v3.2M8 11.7h.01',
  help: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM6.3 6.3a1.8 1.8 0 1 1 2.5 1.7c-.6.3-.8.6-.8 1.2M8 11.2h.01',
  clock: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.8V8l2.2 1.6',
  keyboard: 'M1.5 4h13v8h-13zM4 6.5h.01M6.5 6.5h.01M9 6.5h.01M11.5 6.5h.01M4.5 9.5h7',
  terminal: 'M1.5 2.5h13v11h-13zM4 6l2.2 2L4 10M8 10.5h4',
  braces: 'M6 2.5c-2 0-2 1-2 2.5S4 8 2.5 8C4 8 4 9.5 4 11s0 2.5 2 2.5M10 2.5c2 0 2 1 2 2.5s0 3 1.5 3C12 8 12 9.5 12 11s0 2.5-2 2.5',
};

export function icon(name) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}

// States differ in shape, so that they can be told apart without colour.
const SHAPES = {
  up: () => html`<circle cx="6" cy="6" r="4.5" fill="currentColor" />`,
  degraded: () => html`<circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="1.6" /><path d="M6 2a4 4 0 0 0 0 8z" fill="currentColor" />`,
  down: () => html`<path d="m2.5 2.5 7 7M9.5 2.5l-7 7" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" fill="none" />`,
  resting: () => html`<path d="M3.5 2v8M8.5 2v8" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" fill="none" />`,
  disabled: () => html`<circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="1.6" />`,
  complete: () => html`<path d="m2 6.5 2.6 2.6L10 3.4" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" fill="none" />`,
  relayed_error: () => html`<path d="M6 1.5v5.3M6 10h.01" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" fill="none" />`,
  failed: () => html`<path d="m2.5 2.5 7 7M9.5 2.5l-7 7" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" fill="none" />`,
  cut: () => html`<path d="M1.5 6h3M7.5 6h3M6 2 4.8 10" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" fill="none" />`,
  client_gone: () => html`<path d="M10 6H2.5M5.5 2.5 2 6l3.5 3.5" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" fill="none" />`,
};

export function shape(name) {
  return html`<svg class="shape" viewBox="0 0 12 12" aria-hidden="true">${(SHAPES[name] ?? SHAPES.disabled)()}</svg>`;
}
