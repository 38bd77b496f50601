// JSON as a tree. Children come into being when somebody opens them, a hundred at a time.
import { html, useState } from '../ui.js';
import { t } from '../i18n.js';
import { LongText } from './text.js';
import { icon } from './icons.js';

const AT_ONCE = 100;
const SHORT = 120;

export function JsonTree({ value, name, open = 1 }) {
  return html`<div class="json" role="group" aria-label="JSON"><${Node} value=${value} name=${name} open=${open} /></div>`;
}

function Node({ value, name, open }) {
  if (value !== null && typeof value === 'object') return html`<${Branch} value=${value} name=${name} open=${open} />`;
  return html`<div class="json-leaf"><${Name} name=${name} /><${Leaf} value=${value} /></div>`;
}

const Name = ({ name }) => name !== undefined && html`<span class="json-name">${name}</span><span class="faint">: </span>`;

function Leaf({ value }) {
  if (typeof value !== 'string') return html`<span class="json-${value === null ? 'null' : typeof value}">${String(value)}</span>`;
  if (value.length <= SHORT && !value.includes('\n')) return html`<span class="json-string">${JSON.stringify(value)}</span>`;
  return html`<span class="json-string"><${LongText} text=${value} mono first=${1200} /></span>`;
}

function Branch({ value, name, open }) {
  const [opened, setOpened] = useState(open > 0);
  const [shown, setShown] = useState(AT_ONCE);
  const isArray = Array.isArray(value);
  const keys = isArray ? null : Object.keys(value);
  const count = isArray ? value.length : keys.length;
  const [begin, end] = isArray ? '[]' : '{}';
  if (count === 0) return html`<div class="json-leaf"><${Name} name=${name} /><span class="faint">${begin}${end}</span></div>`;
  const upTo = Math.min(shown, count);
  const child = (_, at) => html`<${Node} key=${at} name=${isArray ? at : keys[at]} value=${value[isArray ? at : keys[at]]} open=${open - 1} />`;
  return html`<div class="json-branch">
    <button class="json-toggle ${opened ? 'open' : ''}" aria-expanded=${opened} onClick=${() => setOpened(!opened)}>
      ${icon('right')}<${Name} name=${name} /><span class="faint">${begin}${!opened && ` ${t(isArray ? 'json.items' : 'json.keys', { n: count })} ${end}`}</span>
    </button>
    ${opened && html`<div class="json-children">${Array.from({ length: upTo }, child)}
      ${upTo < count && html`<button class="small more" onClick=${() => setShown(shown + AT_ONCE * 5)}>${t('json.more', { n: count - upTo })}</button>`}</div>
      <span class="json-end faint">${end}</span>`}
  </div>`;
}
