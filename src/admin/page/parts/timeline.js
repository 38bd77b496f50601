// A stream over time: how many bytes had gone down when, and the pauses in it.
import { html } from '../ui.js';
import { t } from '../i18n.js';
import { bytes, duration } from '../format.js';

const LEAST_PAUSE_MS = 1000;
const [WIDTH, HEIGHT] = [1000, 100];
const LISTED = 12;

// The pauses worth a word. Marks that are closer than `step_ms` may have others between them that were not kept.
export function pausesOf({ marks, step_ms: step }) {
  const pairs = marks.slice(1).map((mark, at) => ({ from: marks[at][0], to: mark[0] }));
  return pairs.filter(({ from, to }) => to - from > step && to - from >= LEAST_PAUSE_MS);
}

// When each event had gone down, as far as the marks tell it; `null` where they do not fit the body.
export function timesOf(events, { timeline, response }) {
  if (!timeline) return null;
  const all = events.reduce((sum, event) => sum + event.size, 0);
  if (!response.truncated && all !== response.size) return null;
  const { marks } = timeline;
  let [at, sum] = [0, 0];
  return events.map((event) => {
    sum += event.size;
    while (at < marks.length - 1 && marks[at][1] < sum) at += 1;
    return marks[at][0];
  });
}

export function Timeline({ timeline }) {
  const { marks } = timeline;
  if (marks.length < 2) return null;
  const [[begin], [end, size]] = [marks[0], marks.at(-1)];
  const whole = Math.max(1, end - begin);
  const x = (time) => ((time - begin) / whole) * WIDTH;
  const y = (sent) => HEIGHT - (sent / Math.max(1, size)) * (HEIGHT - 4);
  const line = marks.map(([time, sent], at) => `${at === 0 ? `M${x(time).toFixed(1)},${HEIGHT}` : `H${x(time).toFixed(1)}`}V${y(sent).toFixed(1)}`).join('');
  const pauses = pausesOf(timeline);
  const longest = [...pauses].sort((a, b) => b.to - b.from - (a.to - a.from)).slice(0, LISTED).sort((a, b) => a.from - b.from);
  const said = t('timeline.sum', { size: bytes(size), from: duration(begin), to: duration(end) });
  return html`<figure class="timeline"><figcaption>${said} ${pauses.length ? t('timeline.pauses', { n: pauses.length }) : t('timeline.steady')}</figcaption>
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${said}>
      ${pauses.map(({ from, to }) => html`<rect key=${from} class="timeline-pause" x=${x(from)} width=${x(to) - x(from)} y="0" height=${HEIGHT}><title>${t('timeline.pause', { time: duration(to - from), from: duration(from), to: duration(to) })}</title></rect>`)}
      <path class="timeline-area" d=${`${line}V${HEIGHT}Z`} /><path class="timeline-line" d=${line} />
    </svg>
    <div class="timeline-scale num faint" aria-hidden="true">${[0, 0.25, 0.5, 0.75, 1].map((share) => html`<span key=${share}>${duration(begin + share * whole)}</span>`)}</div>
    ${longest.length > 0 && html`<ul class="timeline-list num">${longest.map(({ from, to }) => html`<li key=${from}><i class="swatch timeline-pause"></i>${t('timeline.pause', { time: duration(to - from), from: duration(from), to: duration(to) })}</li>`)}</ul>`}
  </figure>`;
}
