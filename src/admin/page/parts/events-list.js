// The events of a stream in their order, with the time of each where the log has the stream's times.
import { html, useMemo, useState } from '../ui.js';
import { t } from '../i18n.js';
import { bytes, duration, number } from '../format.js';
import { JsonTree } from './json-tree.js';
import { Timeline, timesOf } from './timeline.js';
import { Inline, LongText } from './text.js';

const AT_ONCE = 200;

const seconds = (ms) => number(ms / 1000, 2, 2);

function gist({ value, data, comment }) {
  if (comment) return '';
  if (!value) return data;
  const { delta, content_block: block, message, error, usage } = value;
  if (delta) return delta.text ?? delta.thinking ?? delta.partial_json ?? delta.stop_reason ?? delta.type ?? '';
  if (block) return [block.type, block.name].filter(Boolean).join(' ');
  if (message) return message.model ?? '';
  return error?.message ?? (usage ? JSON.stringify(usage) : '');
}

const nameOf = (event) => (event.comment ? t('events.comment') : event.name || event.value?.type || '?');

export function EventsList({ events, record }) {
  const [shown, setShown] = useState(AT_ONCE);
  const [kind, setKind] = useState('');
  const counts = useMemo(() => {
    const all = new Map();
    for (const event of events) all.set(nameOf(event), (all.get(nameOf(event)) ?? 0) + 1);
    return [...all];
  }, [events]);
  const times = useMemo(() => timesOf(events, record), [events, record]);
  const fitting = kind ? events.filter((event) => nameOf(event) === kind) : events;
  const streamed = record.duration_ms - (record.first_byte_ms ?? 0);
  return html`<div class="events">
    <p class="faint">${t('events.sum', { n: events.length, size: bytes(record.response.size), time: duration(streamed) })}${times ? '' : ` ${t('events.no_times')}`}</p>
    ${record.timeline && html`<${Timeline} timeline=${record.timeline} />`}
    <div class="chips">${counts.map(([name, n]) => html`<button key=${name} class="chip mono" aria-pressed=${kind === name} onClick=${() => setKind(kind === name ? '' : name)}>${name} <span class="faint num">${number(n)}</span></button>`)}</div>
    <ol class=${`event-list ${times ? '' : 'timeless'}`}>${fitting.slice(0, shown).map((event) => html`<${Event} key=${event.index} event=${event} time=${times?.[event.index]} />`)}</ol>
    ${fitting.length > shown && html`<button class="small more" onClick=${() => setShown(shown + AT_ONCE * 5)}>${t('json.more', { n: fitting.length - shown })}</button>`}
  </div>`;
}

function Event({ event, time }) {
  const [open, setOpen] = useState(false);
  return html`<li class=${`event ${event.name === 'error' ? 'bad' : ''}`}><button class="event-line" aria-expanded=${open} onClick=${() => setOpen(!open)}>
      <span class="faint num">${number(event.index + 1)}</span><span class="mono event-name">${nameOf(event)}</span><span class="event-time faint num">${time === undefined ? '' : t('events.at', { time: seconds(time) })}</span><span class="event-gist"><${Inline} text=${gist(event)} length=${140} /></span><span class="faint num">${bytes(event.size)}</span></button>
    ${open && (event.value ? html`<${JsonTree} value=${event.value} open=${3} />` : html`<${LongText} text=${event.data} mono />`)}</li>`;
}
