// Small things that several views show alike: states, endings, bars of the last attempts, a time that runs.
import { html } from '../ui.js';
import { t, word } from '../i18n.js';
import { duration, moment, parsed, span } from '../format.js';
import { proxyNow } from '../store.js';
import { go } from '../route.js';
import { shape } from './icons.js';

export const State = ({ state }) => html`<span class="state ${state}">${shape(state)}${word('state', state)}</span>`;

export const Ending = ({ ending, status, bare }) =>
  html`<span class="ending ${ending}" title=${word('ending', ending)}>${shape(ending)}<span class="num">${status || ''}</span>${!bare && html`<span>${word('ending', ending)}</span>`}</span>`;

// Counts up from `time`.
export const Since = ({ time }) => html`<time title=${moment(time)} dateTime=${time}>${span((proxyNow() - parsed(time)) / 1000)}</time>`;

// Counts down to `time`.
export function Until({ time }) {
  const left = (parsed(time) - proxyNow()) / 1000;
  return html`<time class="num" title=${moment(time)} dateTime=${time}>${left > 0 ? span(left) : t('endpoint.any_moment')}</time>`;
}

// The last attempts: height is time on a scale of its own, a failure has a notch of another shape.
// One picture to who listens; to who points at it, each bar leads to its request, as the list of requests does.
export function Bars({ recent, label }) {
  const slowest = Math.max(1, ...recent.map((one) => one.duration_ms));
  const failed = recent.filter((one) => !one.ok).length;
  const text = t('endpoint.bars', { n: recent.length, failed });
  const open = ({ target }) => target.dataset.id && go('requests', target.dataset.id);
  return html`<span class="bars" role="img" aria-label=${`${label}: ${text}`} onClick=${open}>
    ${recent.map((one, at) => html`<i key=${`${one.id}${at}`} data-id=${one.id} class=${one.ok ? 'ok' : 'bad'}
      title=${`${word('result', one.ok ? 'ok' : 'failed')} · ${duration(one.duration_ms)}`} style=${{ height: `${barHeight(one, slowest)}%` }}></i>`)}
  </span>`;
}

const barHeight = (one, slowest) => (one.ok ? 14 + 86 * Math.sqrt(one.duration_ms / slowest) : 100);

export function Spark({ values, tone = '' }) {
  const top = Math.max(...values, 1);
  const step = 100 / Math.max(1, values.length - 1);
  const points = values.map((value, at) => `${(at * step).toFixed(1)},${(27 - (24 * value) / top).toFixed(1)}`);
  if (points.length < 2) return null;
  return html`<svg class="spark ${tone}" viewBox="0 0 100 28" preserveAspectRatio="none" aria-hidden="true">
    <path class="area" d=${`M0,28 L${points.join(' L')} L100,28z`} /><path class="line" d=${`M${points.join(' L')}`} /></svg>`;
}

export const Empty = ({ title, children }) => html`<div class="empty"><strong>${title}</strong><div>${children}</div></div>`;

export function Segments({ label, options, value, onChoose }) {
  return html`<div class="segments" role="group" aria-label=${label}>${options.map(
    ([key, text]) => html`<button key=${key} aria-pressed=${key === value} onClick=${() => onChoose(key)}>${text}</button>`,
  )}</div>`;
}

export async function copy(text) {
  await navigator.clipboard.writeText(text);
}
