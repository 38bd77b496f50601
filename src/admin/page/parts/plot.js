// One plot over time, with its legend, and the same figures as a table for who cannot see it.
import uPlot from '../vendor/uplot.js';
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from '../ui.js';
import { t } from '../i18n.js';
import { brief, countMarks, durationMarks, tick } from '../format.js';
import { language, theme } from '../prefs.js';

const HEIGHT = 172;
const FONT = '11px system-ui, sans-serif';
// Marks of what is counted.
const WHOLE = Array.from({ length: 12 }, (_, at) => [1, 2, 5].map((one) => one * 10 ** at)).flat();

// `series`: [{ key, label, tone, values }], `tone` a custom property of the style sheet; `kind`: bars (stacked counts) or
// lines (durations); `zoomed(from, to)` in seconds.
export function Plot({ title, note, times, step, series, kind, format, zoomed, total }) {
  const [alone, setAlone] = useState(null);
  const [read, setRead] = useState(null);
  const shown = series.filter((one) => !alone || one.key === alone);
  const choose = (key) => setAlone(alone === key ? null : key);
  const at = read !== null && read < times.length ? read : null;
  return html`<section class="panel plot" aria-label=${title}>
    <header><h2>${title}</h2><span class="plot-note num">${at === null ? note : brief(times[at] * 1000)}</span></header>
    <${Legend} series=${series} alone=${alone} choose=${choose} at=${at} format=${format} total=${total} />
    <${Canvas} times=${times} step=${step} series=${shown} kind=${kind} zoomed=${zoomed} setRead=${setRead} />
    <${Table} title=${title} times=${times} series=${series} format=${format} />
  </section>`;
}

function Legend({ series, alone, choose, at, format, total }) {
  return html`<div class="legend">${series.map((one) => {
    const value = at === null ? total?.(one) : one.values[at];
    return html`<button key=${one.key} class="legend-item" aria-pressed=${alone === one.key} title=${t('plot.isolate')} onClick=${() => choose(one.key)}>
      <i class="swatch ${one.dashed ? 'dashed' : ''} ${alone && alone !== one.key ? 'off' : ''}" style=${{ '--tone': `var(--${one.tone})` }}></i><span class="legend-label">${one.label}</span>
      ${value !== undefined && html`<b class="num">${format(value)}</b>`}</button>`;
  })}</div>`;
}

function Table({ title, times, series, format }) {
  const [open, setOpen] = useState(false);
  const rows = open ? times.map((time, at) => ({ time, at })).reverse() : [];
  return html`<details class="plot-table" open=${open} onToggle=${(event) => setOpen(event.target.open)}>
    <summary>${t('plot.table')}</summary>
    <div class="table-box" tabindex="0" role="region" aria-label=${`${title}: ${t('plot.table')}`}><table><thead><tr><th scope="col">${t('col.time')}</th>${series.map((one) => html`<th scope="col" class="num">${one.label}</th>`)}</tr></thead>
      <tbody>${rows.map(({ time, at }) => html`<tr key=${time}><th scope="row">${brief(time * 1000)}</th>${series.map((one) => html`<td class="num">${format(one.values[at])}</td>`)}</tr>`)}</tbody></table></div>
  </details>`;
}

function Canvas({ times, step, series, kind, zoomed, setRead }) {
  const box = useRef(null);
  const plot = useRef(null);
  const latest = useRef({});
  latest.current = { zoomed, setRead };
  // What needs a new plot; anything else is new data for the old one.
  const look = `${series.map((one) => one.key + one.label)} ${kind} ${step} ${theme.value} ${language.value} ${useScheme()}`;
  const data = useMemo(() => (kind === 'bars' ? [times, ...stacked(series)] : [times, ...series.map((one) => one.values)]), [times, look, series]);

  useLayoutEffect(() => {
    const options = { ...frame(box.current, step, kind, latest), series: [{}, ...(kind === 'bars' ? [...series].reverse().map(bar) : series.map(line))] };
    plot.current = new uPlot(options, data, box.current);
    const watch = new ResizeObserver(() => plot.current.setSize({ width: box.current.clientWidth, height: HEIGHT }));
    watch.observe(box.current);
    return () => {
      watch.disconnect();
      plot.current.destroy();
    };
  }, [look]);
  useEffect(() => {
    plot.current.setData(data);
  }, [data]);
  return html`<div class="canvas" ref=${box} aria-hidden="true"></div>`;
}

function useScheme() {
  const [dark, setDark] = useState(DARK.matches);
  useEffect(() => {
    const changed = () => setDark(DARK.matches);
    DARK.addEventListener('change', changed);
    return () => DARK.removeEventListener('change', changed);
  }, []);
  return dark;
}

const DARK = matchMedia('(prefers-color-scheme: dark)');

// The largest sum first, so that each smaller one is painted over it.
function stacked(series) {
  let below = [];
  const sums = series.map((one) => (below = one.values.map((value, at) => (value ?? 0) + (below[at] ?? 0))));
  return sums.reverse();
}

// A colour of the style sheet as the canvas needs it.
export function resolved(tone) {
  const probe = document.createElement('i');
  probe.style.color = `var(--${tone})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

const bar = (one) => ({ label: one.label, fill: resolved(one.tone), width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.78, 40], align: 1 }) });

const line = (one) => ({
  label: one.label,
  stroke: resolved(one.tone),
  width: 1.6,
  dash: one.dashed ? [4, 3] : undefined,
  points: { show: true, size: 4, width: 0, fill: resolved(one.tone), filter: lonely },
});

// A value between two gaps has no line; it gets a point.
function lonely(plot, index) {
  const values = plot.data[index];
  const has = (at) => values[at] !== null && values[at] !== undefined;
  return values.map((_, at) => at).filter((at) => has(at) && !has(at - 1) && !has(at + 1));
}

const COUNTS = { incrs: WHOLE, values: (_, marks) => countMarks(marks) };
const DURATIONS = { values: (_, marks, __, ___, increment) => durationMarks(marks, increment) };

function frame(box, step, kind, latest) {
  const ink = resolved('muted');
  const grid = { stroke: resolved('grid'), width: 1 };
  const axis = { stroke: ink, font: FONT, grid, ticks: { show: false } };
  const width = kind === 'bars' ? step : 0;
  return {
    width: box.clientWidth,
    height: HEIGHT,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: 'overview' }, drag: { x: true, y: false, setScale: false }, points: { show: kind === 'lines' }, y: false },
    scales: { x: { range: (plot) => [plot.data[0][0], (plot.data[0].at(-1) ?? 0) + width] }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.06 : 1] } },
    axes: [
      { ...axis, grid: { show: false }, space: 70, size: 24, gap: 4, values: (_, marks, __, ___, increment) => marks.map((mark) => tick(mark, increment)) },
      { ...axis, size: 46, gap: 6, space: 34, ...(kind === 'bars' ? COUNTS : DURATIONS) },
    ],
    hooks: { setSelect: [(plot) => select(plot, latest)], setCursor: [(plot) => latest.current.setRead(plot.cursor.idx ?? null)] },
  };
}

function select(plot, latest) {
  const { left, width } = plot.select;
  if (width < 6) return;
  const [from, to] = [plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x')];
  plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  latest.current.zoomed?.(Math.floor(from), Math.ceil(to));
}
