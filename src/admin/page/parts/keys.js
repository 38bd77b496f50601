// The keyboard. One table holds what is bound: the help shows it and the listener runs it, so they cannot disagree.
import { html, signal, useLayoutEffect, useRef } from '../ui.js';
import { t } from '../i18n.js';
import { go } from '../route.js';
import { Dialog } from './dialog.js';

const CHORD_MS = 1200;

export const helpShown = signal(false);

const EVERYWHERE = [
  { keys: 'g o', label: 'keys.overview', run: () => go('overview') },
  { keys: 'g e', label: 'keys.endpoints', run: () => go('endpoints') },
  { keys: 'g r', label: 'keys.requests', run: () => go('requests') },
  { keys: 'g s', label: 'keys.system', run: () => go('system') },
  { keys: '?', label: 'keys.help', run: () => (helpShown.value = !helpShown.peek()) },
];

// Bindings of what is on screen, the newest first; each group is `{ title, bindings }`.
const groups = signal([]);

// Binds keys while a component is there. `bindings` may be new ones at each drawing.
export function useKeys(title, bindings) {
  const group = useRef({ title, bindings }).current;
  group.bindings = bindings;
  // Before it is painted: who sees a view can use its keys.
  useLayoutEffect(() => {
    groups.value = [group, ...groups.peek()];
    return () => {
      groups.value = groups.peek().filter((one) => one !== group);
    };
  }, []);
}

const isTyping = (target) => target.closest?.('input, textarea, select, [contenteditable]');
const isOwn = (key, target) => key === 'Enter' && target.closest?.('a, button, summary, [role=tab]');

let begun = '';
let begunAt = 0;

export function listen() {
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (isTyping(event.target) || isOwn(event.key, event.target)) return;
    const open = document.querySelector('dialog[open]');
    if (open && !(helpShown.peek() && event.key === '?')) return;
    const chord = Date.now() - begunAt < CHORD_MS ? `${begun} ${event.key}` : '';
    const found = find(chord) ?? find(event.key);
    begun = event.key;
    begunAt = found ? 0 : Date.now();
    if (!found) return;
    event.preventDefault();
    found.run();
  });
}

function find(keys) {
  const matches = (one) => [one.keys].flat().includes(keys);
  for (const group of groups.peek()) {
    const found = group.bindings.find(matches);
    if (found) return found;
  }
  return EVERYWHERE.find(matches);
}

const NAMES = { ArrowDown: '↓', ArrowUp: '↑', Escape: 'Esc', ' ': 'Space' };

function Keys({ keys }) {
  const parts = [keys].flat().filter((one) => !one.startsWith('Arrow'));
  return parts.map((one, at) => html`${at > 0 && html`<span class="faint"> / </span>`}${one.split(/(?<=.) (?=.)/).map((key) => html`<kbd>${NAMES[key] ?? key}</kbd>`)}`);
}

function Group({ title, bindings }) {
  return html`<section><h3>${t(title)}</h3>
    <dl class="keys">${bindings.map((one) => html`<div><dt><${Keys} keys=${one.keys} /></dt><dd>${t(one.label)}</dd></div>`)}</dl>
  </section>`;
}

export function Help() {
  if (!helpShown.value) return null;
  const shown = [...groups.value.filter((group) => group.bindings.length), { title: 'keys.everywhere', bindings: EVERYWHERE }];
  return html`<${Dialog} title=${t('keys.title')} onClose=${() => (helpShown.value = false)}>
    <div class="key-groups">${shown.map((group) => html`<${Group} ...${group} />`)}</div>
  <//>`;
}
