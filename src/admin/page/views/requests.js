// The requests: those under way on top, then the log, newest first, live.
import { duration, bytes, compact, brief, moment, NOTHING } from '../format.js';
import { t, word } from '../i18n.js';
import { follow } from '../prefs.js';
import { inputTokens, shortModel, tried, pathOnly, failedAttempts } from '../record.js';
import { choose, go, href, route } from '../route.js';
import { endpointList, proxyNow, running } from '../store.js';
import { html, useEffect, useLayoutEffect, useRef, useState } from '../ui.js';
import { FilterBox } from '../parts/filter-box.js';
import { icon } from '../parts/icons.js';
import { useKeys } from '../parts/keys.js';
import { Empty, Ending } from '../parts/state.js';
import { Inline } from '../parts/text.js';
import { VirtualTable } from '../parts/virtual-list.js';
import { useLog } from './requests-log.js';

const NARROW = matchMedia('(max-width: 720px)');
const RUNNING_SHOWN = 6;
const UNDER = ['phase', 'age', 'endpoint', 'model', 'bytes'];

// Where the reader was, for coming back from one request.
const kept = { q: null, top: 0, picked: null };

function useNarrow() {
  const [narrow, setNarrow] = useState(NARROW.matches);
  useEffect(() => {
    const changed = () => setNarrow(NARROW.matches);
    NARROW.addEventListener('change', changed);
    return () => NARROW.removeEventListener('change', changed);
  }, []);
  return narrow;
}

export function Requests() {
  const q = route.value.query.get('q') ?? '';
  const [away, setAway] = useState(kept.q === q && kept.top > 0);
  const [picked, setPicked] = useState(kept.picked);
  const control = useRef(null);
  const focus = useRef(null);
  const narrow = useNarrow();
  const paused = away || follow.value === 'off';
  const log = useLog(q, paused);
  useEffect(() => restored(control, q), []);
  useEffect(() => {
    if (kept.q !== q) Object.assign(kept, { q, top: 0, picked: null });
  }, [q]);

  const moved = (top) => {
    kept.top = top;
    setAway(top > 4);
  };
  const resume = () => {
    follow.value = 'on';
    control.current.to(0);
    setAway(false);
    log.show();
  };
  const toggle = () => (paused ? resume() : (follow.value = 'off'));
  const pick = (id) => {
    kept.picked = id;
    setPicked(id);
  };
  const step = (by) => () => {
    const at = log.rows.findIndex((one) => one.id === picked);
    const next = Math.min(log.rows.length - 1, Math.max(0, at + by));
    if (!log.rows[next]) return;
    pick(log.rows[next].id);
    control.current.show(next);
  };
  useKeys('nav.requests', [
    { keys: '/', label: 'keys.filter', run: () => focus.current() },
    { keys: ['j', 'ArrowDown'], label: 'keys.next', run: step(1) },
    { keys: ['k', 'ArrowUp'], label: 'keys.previous', run: step(-1) },
    { keys: 'Enter', label: 'keys.open', run: () => picked && go('requests', picked, { from: q }) },
    { keys: ['f', 'G'], label: 'keys.follow', run: resume },
    { keys: [' ', 'p'], label: 'keys.pause', run: toggle },
    { keys: 'Escape', label: 'keys.clear', run: () => choose({ q: '' }) },
  ]);
  return html`<div class="view requests">
    <header class="view-head"><h1>${t('nav.requests')}</h1>
      <p class="faint num" role="status">${count(log)}</p>
      <button aria-pressed=${!paused} onClick=${toggle}>${icon(paused ? 'play' : 'pause')}${t(paused ? 'act.follow' : 'act.pause')}</button></header>
    <${FilterBox} value=${q} problem=${log.problem?.span ? log.problem : null} chips=${chips()} focus=${focus} onChange=${(text) => choose({ q: text })} />
    ${log.problem && !log.problem.span && html`<p class="notice bad" role="alert">${icon('alert')}<span>${log.problem.message}</span></p>`}
    <${Running} control=${control} paused=${paused} />
    <div class="list-box">
      ${log.waiting > 0 && html`<button class="pill" onClick=${resume}>${icon('up')}${t('log.new', { n: log.waiting })}</button>`}
      <${VirtualTable} className=${log.loading ? 'busy' : ''} rows=${log.rows} height=${narrow ? 58 : 34} label=${t('nav.requests')} reached=${log.older} moved=${moved} control=${control}
        head=${heads()} row=${(record) => html`<${Row} key=${record.id} record=${record} picked=${record.id === picked} pick=${pick} q=${q} />`} foot=${html`<${Foot} log=${log} q=${q} />`} />
    </div>
  </div>`;
}

function count({ loading, problem, more, rows }) {
  if (loading) return t('log.loading');
  if (problem && !rows.length) return '';
  return t(more ? 'log.loaded' : 'log.all', { n: rows.length });
}

function restored(control, q) {
  if (kept.q === q && kept.top > 0) requestAnimationFrame(() => control.current?.to(kept.top));
}

function chips() {
  const names = (endpointList.value?.endpoints ?? []).slice(0, 5).map((one) => [`tried:${/^[\w.-]+$/.test(one.name) ? one.name : JSON.stringify(one.name)}`, one.name]);
  return [['ending:failed', t('chip.failed')], ['ending:cut', t('chip.cut')], ['status>=400', t('chip.errors')], ['attempts>1', t('chip.failover')], ['ttft>5s', t('chip.slow')], ...names];
}

function heads() {
  const head = (name, kind = '') => html`<th scope="col" class="c-${name} ${kind}">${t(`col.${name}`)}</th>`;
  return [head('time'), head('ending'), head('endpoint'), head('model'), head('input', 'num'), head('output', 'num'), head('first_byte', 'num'), head('duration', 'num'), head('note')];
}

function Foot({ log, q }) {
  if (log.rows.length === 0 && !log.loading && !log.problem) {
    return q ? html`<${Empty} title=${t('log.none_fit')}>${t('log.none_fit_hint')}<//>` : html`<${Empty} title=${t('log.none')}>${t('log.none_hint')}<//>`;
  }
  if (!log.more || log.problem?.span) return null;
  return html`<p class="list-foot faint">${log.problem ? html`<button class="small" onClick=${log.older}>${t('feed.retry')}</button>` : t('log.loading')}</p>`;
}

const Way = ({ names }) => names.map((name, at) => html`${at > 0 && html`<span class="faint"> › </span>`}<span class=${at < names.length - 1 ? 'passed' : ''}>${name}</span>`);

function note(record) {
  if (record.error) return record.error;
  const failed = failedAttempts(record);
  return failed.length ? failed.map((one) => `${one.endpoint}: ${word('fault', one.fault)}`).join(', ') : '';
}

function Row({ record, picked, pick, q }) {
  const at = href('requests', record.id, { from: q });
  const open = (event) => {
    // A link does it by itself; a selection of text is no click.
    if (event.target.closest('a') || String(getSelection())) return;
    location.hash = at;
  };
  const { usage } = record;
  return html`<tr class="row ${picked ? 'picked' : ''} ${record.ending}" aria-selected=${picked} onClick=${open} onMouseDown=${() => pick(record.id)}>
    <td class="c-time num"><a href=${at} title=${moment(record.time)} onFocus=${() => pick(record.id)}>${brief(record.time)}</a></td>
    <td class="c-ending"><${Ending} ending=${record.ending} status=${record.status} /></td>
    <td class="c-endpoint"><${Way} names=${tried(record)} /></td>
    <td class="c-model" title=${record.model ?? pathOnly(record.path)}>${shortModel(record.model) || html`<span class="faint">${record.method} ${pathOnly(record.path)}</span>`}</td>
    <td class="c-input num" title=${usage ? t('row.cached', { n: usage.cache_read ?? 0 }) : undefined}>${compact(inputTokens(record))}</td>
    <td class="c-output num">${compact(usage?.output ?? undefined)}</td>
    <td class="c-first_byte num">${duration(record.first_byte_ms)}</td>
    <td class="c-duration num">${duration(record.duration_ms)}</td>
    <td class="c-note faint"><${Inline} text=${note(record)} /></td>
  </tr>`;
}

// Their number changes all the time; a reader who has scrolled must not see the list move for it.
function Running({ control, paused }) {
  const box = useRef(null);
  const before = useRef(0);
  const all = [...running.value].sort((a, b) => a.key - b.key);
  useLayoutEffect(() => {
    const height = box.current?.offsetHeight ?? 0;
    if (paused && height !== before.current) control.current?.shift(height - before.current);
    before.current = height;
  });
  if (!all.length) return html`<div ref=${box}></div>`;
  const shown = all.slice(0, RUNNING_SHOWN);
  return html`<section class="running" ref=${box} aria-label=${t('running.title')}><h2 class="num">${t('running.count', { n: all.length })}</h2>
    <table><colgroup>${UNDER.map((name) => html`<col key=${name} class=${`c-${name}`} />`)}</colgroup><thead class="sr-only"><tr>${UNDER.map((name) => html`<th scope="col" key=${name}>${t(`col.${name}`)}</th>`)}</tr></thead>
      <tbody>${shown.map((one) => html`<${Under} key=${one.key} one=${one} />`)}</tbody></table>
    ${all.length > shown.length && html`<p class="faint">${t('running.more', { n: all.length - shown.length })}</p>`}</section>`;
}

function Under({ one }) {
  const age = Math.max(one.age_ms, proxyNow() - Date.parse(one.time));
  return html`<tr class="under ${one.phase}">
    <td class="c-phase"><i class="pulse" aria-hidden="true"></i>${word('phase', one.phase)}</td>
    <td class="c-age num">${duration(Math.round(age / 100) * 100)}</td>
    <td class="c-endpoint"><${Way} names=${[...(one.failed ?? []), one.endpoint].filter(Boolean)} /></td>
    <td class="c-model">${shortModel(one.model) || html`<span class="faint">${one.method} ${one.path}</span>`}</td>
    <td class="c-bytes num">${one.bytes ? bytes(one.bytes) : NOTHING}</td>
  </tr>`;
}
