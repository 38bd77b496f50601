// The attempts of one request on one axis of time: connecting to each endpoint, waiting for it, then the answer streaming.
import { html } from '../ui.js';
import { t, word } from '../i18n.js';
import { duration, number } from '../format.js';
import { LongText } from './text.js';

// What is known of an attempt: when it began, when the request went out, how long it took, and for the one that
// answered, the first byte. Older records do not say when the request went out.
function phases(attempt, record, isLast) {
  const end = attempt.started_ms + attempt.duration_ms;
  const sent = Math.min(attempt.sent_ms ?? attempt.started_ms, end);
  const answered = isLast && record.first_byte_ms !== null && record.first_byte_ms !== undefined && record.first_byte_ms <= end + 1;
  const split = answered ? Math.max(sent, Math.min(record.first_byte_ms, end)) : end;
  const late = attempt.fault && answered && record.ending === 'cut';
  const parts = [
    { kind: 'connect', from: attempt.started_ms, to: sent },
    { kind: attempt.fault && !late ? 'failed' : 'wait', from: sent, to: split },
    ...(answered ? [{ kind: late ? 'cut' : 'stream', from: split, to: end }] : []),
  ];
  // Of what took no time only a failure is worth its colour.
  const told = parts.filter((part) => part.to > part.from || part.kind === 'failed' || part.kind === 'cut');
  return told.length ? told : [{ kind: 'wait', from: attempt.started_ms, to: end }];
}

// Of a moment there is nothing to say but its beginning and its end.
function marks(whole) {
  const all = [0, 0.25, 0.5, 0.75, 1].map((share) => duration(share * whole));
  return new Set(all).size === all.length ? all : [all[0], all.at(-1)];
}

export function Waterfall({ record }) {
  const whole = Math.max(1, record.duration_ms, ...record.attempts.map((one) => one.started_ms + one.duration_ms));
  const kinds = new Set();
  const rows = record.attempts.map((attempt, at) => {
    const parts = phases(attempt, record, at === record.attempts.length - 1);
    parts.forEach((part) => kinds.add(part.kind));
    return { attempt, parts };
  });
  return html`<div class="waterfall">
    <div class="waterfall-scale num faint" aria-hidden="true"><span></span><div>${marks(whole).map((mark) => html`<span key=${mark}>${mark}</span>`)}</div><span></span></div>
    <ol>${rows.map(({ attempt, parts }, at) => html`<${Attempt} key=${at} attempt=${attempt} parts=${parts} whole=${whole} />`)}</ol>
    <div class="legend">${[...kinds].map((kind) => html`<span class="legend-item plain" key=${kind}><i class="swatch phase-${kind}"></i>${t(`waterfall.${kind}`)}</span>`)}</div>
  </div>`;
}

function Attempt({ attempt, parts, whole }) {
  const said = attempt.fault ? word('fault', attempt.fault) : t('waterfall.answered');
  return html`<li><span class="waterfall-name" title=${attempt.endpoint}>${attempt.endpoint}</span>
    <div class="waterfall-track" role="img" aria-label=${parts.map((part) => `${t(`waterfall.${part.kind}`)} ${duration(part.to - part.from)}`).join(', ')}>
      ${parts.map((part) => html`<i key=${part.kind} class="phase-${part.kind}" title=${`${t(`waterfall.${part.kind}`)} · ${duration(part.to - part.from)}`} style=${{ left: `${(100 * part.from) / whole}%`, width: `max(3px, ${(100 * (part.to - part.from)) / whole}%)` }}></i>`)}</div>
    <span class="waterfall-end num">${attempt.status ? html`<b>${String(attempt.status)}</b> ` : ''}${duration(attempt.duration_ms)}</span>
    <div class="waterfall-note ${attempt.fault ? 'bad-text' : 'faint'}">${said}${attempt.detail && html`<${LongText} text=${attempt.detail} first=${400} />`}</div></li>`;
}
