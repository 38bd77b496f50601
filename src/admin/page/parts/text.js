// Text that somebody else wrote: always text, never markup, and never more of it at once than a browser takes easily.
import { html, useState } from '../ui.js';
import { t } from '../i18n.js';
import { bytes } from '../format.js';

const FIRST = 4000;
const MORE = 40000;

// What would be invisible, or turn the rest around, shows as its code.
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

const code = (char) => char.charCodeAt(0).toString(16);

const visible = (text) => text.replace(HIDDEN, (char) => (char < '\u0100' ? `\\x${code(char).padStart(2, '0')}` : `\\u${code(char)}`));

// A cut must not go through a surrogate pair.
function beginning(text, length) {
  if (text.length <= length) return text;
  const code = text.charCodeAt(length - 1);
  return text.slice(0, code >= 0xd800 && code < 0xdc00 ? length - 1 : length);
}

export function LongText({ text, mono, first = FIRST }) {
  const [shown, setShown] = useState(first);
  const part = beginning(text, shown);
  const rest = text.length - part.length;
  return html`<div class="long-text">
    <div class=${mono ? 'pre mono' : 'pre'} dir="auto">${visible(part)}</div>
    ${rest > 0 && html`<button class="small more" onClick=${() => setShown(shown + MORE)}>${t('text.more', { size: bytes(rest) })}</button>`}
  </div>`;
}

export function Inline({ text, length = 160 }) {
  return visible(beginning(String(text ?? '').slice(0, length * 2).replace(/\s+/g, ' ').trim(), length));
}
