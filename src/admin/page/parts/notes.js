// Short messages: on screen for a while (toasts), and to screen readers.
import { html, signal, useEffect, useRef } from '../ui.js';
import { t } from '../i18n.js';
import { focusIfLost } from './dialog.js';
import { icon } from './icons.js';

const SHOWN_MS = 6000;

const toasts = signal([]);
const spoken = signal('');
let last = 0;

// `kind`: good or bad; `act`: { label, run } for a button such as undo.
export function toast(text, { kind = '', act, detail } = {}) {
  last += 1;
  toasts.value = [...toasts.peek().slice(-3), { id: last, text, kind, act, detail }];
}

export function announce(text) {
  spoken.value = text;
}

// A Problem as a toast.
export function complain(problem) {
  if (problem.status === 401) return;
  toast(problem.message, { kind: 'bad', detail: problem.hint });
}

const dismiss = (id) => {
  toasts.value = toasts.peek().filter((one) => one.id !== id);
};

function Toast({ one }) {
  const element = useRef(null);
  const close = () => {
    if (element.current.contains(document.activeElement)) focusIfLost('content');
    dismiss(one.id);
  };
  useEffect(() => {
    const timer = setTimeout(close, one.kind === 'bad' ? 2 * SHOWN_MS : SHOWN_MS);
    return () => clearTimeout(timer);
  }, []);
  const act = () => {
    one.act.run();
    close();
  };
  return html`<li ref=${element} class="toast ${one.kind}">
    ${icon(one.kind === 'bad' ? 'alert' : 'check')}
    <div class="toast-text"><span>${one.text}</span>${one.detail && html`<small>${one.detail}</small>`}</div>
    ${one.act && html`<button class="small" onClick=${act}>${one.act.label}</button>`}
    <button class="icon-only small ghost" aria-label=${t('act.dismiss')} onClick=${close}>${icon('close')}</button>
  </li>`;
}

export function Notes() {
  return html`
    <div class="toasts" role="status" aria-live="polite"><ul>${toasts.value.map((one) => html`<${Toast} key=${one.id} one=${one} />`)}</ul></div>
    <div class="sr-only" aria-live="polite">${spoken.value}</div>`;
}
