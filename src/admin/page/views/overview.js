// What is going on: the big numbers, what wants attention, and how it went over time.
import { get } from '../api.js';
import { compact, duration, number, parsed, percent, span } from '../format.js';
import { t, word } from '../i18n.js';
import { choose, href, route } from '../route.js';
import { ended, endpointList, epoch, status } from '../store.js';
import { html, useEffect, useMemo, useRef, useState } from '../ui.js';
import { icon } from '../parts/icons.js';
import { useKeys } from '../parts/keys.js';
import { Plot } from '../parts/plot.js';
import { Attention } from '../parts/attention.js';
import { Ribbon } from '../parts/ribbon.js';
import { Bars, Empty, Segments, Since, Spark, State, Until } from '../parts/state.js';

const RANGES = { '15m': 900, '1h': 3600, '6h': 21600, '24h': 86400, '7d': 604800, '30d': 2592000 };
const USUAL = '1h';
const STEPS_WANTED = 90;
const STEPS = [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
const ENDINGS = ['complete', 'relayed_error', 'client_gone', 'cut', 'failed'];
const ENDPOINT_TONES = ['series-1', 'series-2', 'series-3', 'series-4', 'series-5', 'series-6'];

export function Overview() {
  const query = route.value.query;
  const range = RANGES[query.get('range')] ? query.get('range') : USUAL;
  const zoom = query.get('from') && query.get('to') ? [Number(query.get('from')), Number(query.get('to'))] : null;
  const { stats, problem } = useStats(range, zoom);
  const names = Object.keys(RANGES);
  const by = (change) => () => choose({ range: names[Math.min(names.length - 1, Math.max(0, names.indexOf(range) + change))], from: '', to: '' });
  useKeys('nav.overview', [
    { keys: ']', label: 'keys.wider', run: by(1) },
    { keys: '[', label: 'keys.narrower', run: by(-1) },
    { keys: 'Escape', label: 'keys.unzoom', run: () => choose({ from: '', to: '' }) },
  ]);
  return html`<div class="view overview">
    <header class="view-head"><h1>${t('nav.overview')}</h1>
      ${zoom && html`<button class="small" onClick=${() => choose({ from: '', to: '' })}>${icon('close')}${t('overview.unzoom')}</button>`}
      <${Segments} label=${t('overview.range')} options=${names.map((name) => [name, name])} value=${zoom ? null : range} onChoose=${(name) => choose({ range: name, from: '', to: '' })} />
    </header>
    <${Attention} />
    ${problem && html`<p class="notice bad" role="alert">${icon('alert')}<span>${problem.message}</span></p>`}
    ${stats ? html`<${Tiles} stats=${stats} />` : html`<div class="tiles skeleton" aria-hidden="true">${Array.from({ length: 7 }, (_, at) => html`<div class="tile" key=${at}></div>`)}</div>`}
    <${Endpoints} />
    ${stats && html`<${Plots} stats=${stats} zoomed=${(from, to) => choose({ from, to: Math.max(to, from + 60) })} />`}
  </div>`;
}

// Loads the sums: at once, and again as requests end, as time goes on, and after a gap in the feed.
function useStats(range, zoom) {
  const [state, setState] = useState({ stats: null, problem: null });
  const key = zoom ? zoom.join() : range;
  const loaded = useRef(0);
  const load = async (signal) => {
    try {
      setState({ stats: await get(statsPath(range, zoom), { signal }), problem: null });
    } catch (problem) {
      if (problem.name !== 'AbortError' && problem.status > 0 && problem.status !== 401) setState((old) => ({ ...old, problem }));
    }
    loaded.current = Date.now();
  };
  useEffect(() => {
    const stop = new AbortController();
    load(stop.signal);
    const every = zoom ? 60000 : Math.min(60000, (RANGES[range] * 1000) / 180);
    const timer = setInterval(() => document.visibilityState === 'visible' && load(stop.signal), every);
    return () => {
      clearInterval(timer);
      stop.abort();
    };
  }, [key, epoch.value]);
  useEffect(() => {
    if (!ended.value.length) return undefined;
    const timer = setTimeout(load, Math.max(400, 3000 - (Date.now() - loaded.current)));
    return () => clearTimeout(timer);
  }, [ended.value]);
  return state;
}

function statsPath(range, zoom) {
  if (!zoom) return `/api/stats?range=${range}`;
  const [from, to] = zoom;
  const step = STEPS.find((one) => (to - from) / one <= STEPS_WANTED) ?? STEPS.at(-1);
  const time = (seconds) => encodeURIComponent(new Date(seconds * 1000).toISOString());
  return `/api/stats?from=${time(from)}&to=${time(to)}&step=${step}s`;
}

function Tile({ label, value, sub, values, tone, title }) {
  return html`<div class="tile" title=${title}><dt>${label}</dt><dd><b class="num">${value}</b><span class="tile-sub num">${sub}</span></dd>${values && html`<${Spark} values=${values} tone=${tone} />`}</div>`;
}

function Tiles({ stats }) {
  const { total, steps } = stats;
  const { input, output, cache_read: read, cache_creation: written } = total.tokens;
  const allIn = input + read + written;
  const bad = total.failed + total.cut;
  const minutes = (parsed(stats.to) - parsed(stats.from)) / 60000;
  const of = (pick) => steps.map(pick);
  const asked = total.requests - total.client_gone;
  return html`<dl class="tiles">
    <${Tile} label=${t('tile.requests')} value=${compact(total.requests)} sub=${t('tile.per_minute', { value: number(total.requests / minutes, 1) })} values=${of((step) => step.requests)} />
    <${Tile} label=${t('tile.success')} value=${percent(asked - bad, asked)} sub=${t('tile.bad', { n: bad })} values=${of((step) => step.failed + step.cut)} tone=${bad ? 'bad' : ''} title=${t('tile.success_means')} />
    <${Tile} label=${t('tile.failovers')} value=${compact(total.failovers)} sub=${t('tile.of_requests', { share: percent(total.failovers, total.requests) })} values=${of((step) => step.failovers)} tone="warn" />
    <${Tile} label=${t('tile.first_byte')} value=${duration(total.first_byte.p50_ms)} sub=${`p95 ${duration(total.first_byte.p95_ms)}`} values=${of((step) => step.first_byte.p50_ms ?? 0)} />
    <${Tile} label=${t('tile.input')} value=${compact(allIn)} sub=${t('tile.cached', { share: percent(read, allIn) })} values=${of(({ tokens }) => tokens.input + tokens.cache_read + tokens.cache_creation)} />
    <${Tile} label=${t('tile.cached_tokens')} value=${compact(read)} sub=${t('tile.written', { value: compact(written) })} values=${of(({ tokens }) => tokens.cache_read)} />
    <${Tile} label=${t('tile.output')} value=${compact(output)} sub=${t('tile.per_minute', { value: compact(output / minutes) })} values=${of(({ tokens }) => tokens.output)} />
  </dl>`;
}

function Endpoints() {
  const list = endpointList.value;
  if (!list) return null;
  return html`<section class="panel flush"><header><h2>${t('nav.endpoints')}</h2><a class="faint" href=${href('endpoints')}>${t('overview.manage')}</a></header>
    <div class="table-box"><table class="endpoint-table"><thead><tr>
      <th scope="col">${t('col.name')}</th><th scope="col">${t('col.state')}</th><th scope="col" class="num wide-only">${t('col.in_flight')}</th><th scope="col" class="num">${t('col.window')}</th>
      <th scope="col" class="num wide-only">${t('col.first_byte')}</th><th scope="col" class="num roomy">p95</th><th scope="col" class="num roomy">${t('col.tokens_s')}</th><th scope="col">${t('col.recent')}</th></tr></thead>
      <tbody>${list.endpoints.map((one) => html`<${EndpointRow} key=${one.name} one=${one} />`)}</tbody></table></div>
    ${list.endpoints.length === 0 && html`<${Empty} title=${t('endpoint.none')} />`}
  </section>`;
}

function EndpointRow({ one }) {
  const off = one.state === 'up' || one.state === 'disabled';
  return html`<tr>
    <th scope="row"><a href=${href('endpoints', one.name)}>${one.name}</a></th>
    <td><${State} state=${one.state} />${!off && html`<small class="faint num"> ${one.next_probe ? html`${t('endpoint.probe_short')} <${Until} time=${one.next_probe} />` : html`<${Since} time=${one.since} />`}</small>`}</td>
    <td class="num wide-only">${number(one.in_flight)}</td>
    <td class="num">${number(one.window_ok)}<span class="faint">/</span><span class=${one.window_failed ? 'bad-text' : 'faint'}>${number(one.window_failed)}</span></td>
    <td class="num wide-only">${duration(one.first_byte.p50_ms)}</td><td class="num roomy">${duration(one.first_byte.p95_ms)}</td>
    <td class="num roomy">${number(one.output_tokens_per_s)}</td>
    <td><${Bars} recent=${one.recent} label=${one.name} /></td>
  </tr>`;
}

function Plots({ stats, zoomed }) {
  const { steps, step_s: step, total } = stats;
  const times = useMemo(() => steps.map((_, at) => Math.round(parsed(stats.from) / 1000) + at * step), [stats]);
  if (total.requests === 0) return html`<section class="panel"><${Empty} title=${t('overview.quiet')}>${t('overview.quiet_hint', { listen: status.value?.listen ?? '' })}<//></section>`;
  const shared = { times, step, zoomed };
  const pick = (pairs) => pairs.map(([key, label, tone, value, more]) => ({ key, label, tone, values: steps.map(value), ...more }));
  const sum = (one) => one.values.reduce((all, value) => all + (value ?? 0), 0);
  const quantiles = (what) => pick([
    ['p50', 'p50', 'series-1', (one) => one[what].p50_ms],
    ['p95', 'p95', 'series-3', (one) => one[what].p95_ms, { dashed: true }],
  ]);
  const whole = (what) => (one) => total[what][`${one.key}_ms`];
  const names = stats.endpoints.slice(0, ENDPOINT_TONES.length);
  const each = t('plot.per_step', { step: span(step).replace(/ 00[sm]$/, '') });
  return html`<div class="plots">
    <${Plot} ...${shared} title=${t('plot.requests')} note=${each} kind="bars" format=${compact} total=${sum}
      series=${pick(ENDINGS.map((ending) => [ending, word('ending', ending), `ending-${ending}`, (one) => one[ending]]))} />
    <${Plot} ...${shared} title=${t('plot.tokens')} note=${each} kind="bars" format=${compact} total=${sum}
      series=${pick(['output', 'input', 'cache_creation', 'cache_read'].map((kind) => [kind, t(`tokens.${kind}`), `tokens-${kind}`, (one) => one.tokens[kind]]))} />
    <${Plot} ...${shared} title=${t('plot.first_byte')} kind="lines" format=${duration} total=${whole('first_byte')} series=${quantiles('first_byte')} />
    <${Plot} ...${shared} title=${t('plot.duration')} kind="lines" format=${duration} total=${whole('duration')} series=${quantiles('duration')} />
    <${Plot} ...${shared} title=${t('plot.errors')} note=${each} kind="bars" format=${compact} total=${sum}
      series=${pick(names.map((name, at) => [name, name, ENDPOINT_TONES[at], (one) => one.endpoints[name]?.failed ?? 0]))} />
    <${Ribbon} times=${times} step=${step} steps=${steps} names=${stats.endpoints} />
  </div>`;
}
