// The endpoints: how each is, why, and the levers.
import { changeFile, endpointPath, post, revision } from '../api.js';
import { duration, NOTHING, number, percent } from '../format.js';
import { t, word } from '../i18n.js';
import { href, route } from '../route.js';
import { endpointList, loadEndpoints, status } from '../store.js';
import { html, useEffect, useState } from '../ui.js';
import { focusIfLost } from '../parts/dialog.js';
import { icon } from '../parts/icons.js';
import { useKeys } from '../parts/keys.js';
import { complain, toast } from '../parts/notes.js';
import { Bars, Empty, Since, State, Until } from '../parts/state.js';
import { DeleteDialog } from './endpoint-delete.js';
import { EndpointForm } from './endpoint-form.js';
import { TestResult } from './test-result.js';

export function Endpoints() {
  const list = endpointList.value;
  // `null`, `{ kind: 'add' }`, `{ kind: 'edit' | 'delete', endpoint }`
  const [dialog, setDialog] = useState(null);
  const [picked, setPicked] = useState(route.value.id);
  const names = list?.endpoints.map((one) => one.name) ?? [];
  const close = () => setDialog(null);
  const step = (by) => () => {
    const next = names[Math.min(names.length - 1, Math.max(0, names.indexOf(picked) + by))];
    setPicked(next);
    document.getElementById(`endpoint-${next}`)?.focus();
  };
  const of = (act) => () => {
    const endpoint = list?.endpoints.find((one) => one.name === picked);
    if (endpoint) act(endpoint);
  };
  useKeys('nav.endpoints', [
    { keys: ['j', 'ArrowDown'], label: 'keys.next', run: step(1) },
    { keys: ['k', 'ArrowUp'], label: 'keys.previous', run: step(-1) },
    { keys: 'a', label: 'keys.add', run: () => setDialog({ kind: 'add' }) },
    { keys: ['Enter'], label: 'keys.edit', run: of((endpoint) => isEditable() && setDialog({ kind: 'edit', endpoint })) },
    { keys: 'e', label: 'keys.toggle', run: of(toggle) },
  ]);
  useEffect(() => {
    if (route.value.id) document.getElementById(`endpoint-${route.value.id}`)?.scrollIntoView({ block: 'center' });
  }, [Boolean(list)]);
  return html`<div class="view endpoints">
    <header class="view-head"><h1>${t('nav.endpoints')}</h1>
      ${list && html`<p class="faint">${t('endpoint.window', { n: list.window_s })}</p>`}
      <button class="primary" onClick=${() => setDialog({ kind: 'add' })}>${icon('plus')}${t('endpoint.add')}</button></header>
    <${NoFile} add=${() => setDialog({ kind: 'add' })} />
    ${list && html`<${Cards} list=${list} picked=${picked} pick=${setPicked} open=${setDialog} />`}
    ${list?.endpoints.length === 0 && html`<${Empty} title=${t('endpoint.none')} />`}
    ${dialog?.kind === 'add' && html`<${EndpointForm} onClose=${close} />`}
    ${dialog?.kind === 'edit' && html`<${EndpointForm} endpoint=${dialog.endpoint} onClose=${close} />`}
    ${dialog?.kind === 'delete' && html`<${DeleteDialog} endpoint=${dialog.endpoint} onClose=${close} />`}
  </div>`;
}

// What is built in cannot be changed.
const isEditable = () => Boolean(status.value?.config.file);

function NoFile({ add }) {
  const config = status.value?.config;
  if (!config || config.file) return null;
  return html`<div class="notice" role="note">${icon('alert')}<div><strong>${t('endpoint.no_file')}</strong> ${t('endpoint.no_file_hint', { path: config.would_write ?? 'config.yaml' })}</div>
    <button class="small" onClick=${add}>${t('endpoint.create_file')}</button></div>`;
}

async function toggle(endpoint) {
  const act = endpoint.enabled ? 'disable' : 'enable';
  const back = endpoint.enabled ? 'enable' : 'disable';
  const undo = () => {
    focusIfLost(`endpoint-${endpoint.name}`);
    post(endpointPath(endpoint.name, back)).then(loadEndpoints, complain);
  };
  try {
    await post(endpointPath(endpoint.name, act));
    toast(t(`endpoint.${act}d_toast`, { name: endpoint.name }), { kind: 'good', act: { label: t('act.undo'), run: undo } });
  } catch (problem) {
    complain(problem);
  }
  loadEndpoints();
}

// `name` was moved; `before`: the endpoints as they were.
async function reorder(name, names, before) {
  try {
    const { diff } = await changeFile('POST', '/api/endpoints/order', { names, revision: revision.peek() });
    await loadEndpoints();
    if (!diff) return; // somebody else had it so already
    const undo = () => {
      focusIfLost(`endpoint-${name}`);
      restore(before).catch(complain).then(loadEndpoints);
    };
    toast(t('endpoint.order_written'), { kind: 'good', act: { label: t('act.undo'), run: undo } });
  } catch (problem) {
    complain(problem);
    loadEndpoints();
  }
}

// The old order alone would not say who shared a priority.
async function restore(before) {
  let made = revision.peek();
  for (const { name, priority } of before) {
    const now = endpointList.peek().endpoints.find((one) => one.name === name);
    if (!now || now.priority === priority) continue;
    ({ revision: made } = await changeFile('PATCH', endpointPath(name), { priority, revision: made }));
  }
}

// The list in the order in which they are tried, or as it is being dragged.
function Cards({ list, picked, pick, open }) {
  const [dragged, setDragged] = useState(null);
  const [order, setOrder] = useState(null);
  const own = list.endpoints.map((one) => one.name);
  const names = order?.filter((name) => own.includes(name)) ?? own;
  const byName = new Map(list.endpoints.map((one) => [one.name, one]));
  const sharing = (endpoint) => list.endpoints.filter((one) => one.priority === endpoint.priority).length;
  useEffect(() => setOrder(null), [own.join('\n')]);

  const over = (name) => (event) => {
    if (!dragged) return;
    event.preventDefault();
    if (name !== dragged) setOrder(moved(names, dragged, names.indexOf(name)));
  };
  const dropped = (event) => {
    event.preventDefault();
    setDragged(null);
    if (order && order.join('\n') !== own.join('\n')) reorder(dragged, order, list.endpoints).then(() => setOrder(null));
  };
  const shift = async (name, by) => {
    const to = own.indexOf(name) + by;
    if (to < 0 || to >= own.length) return;
    await reorder(name, moved(own, name, to), list.endpoints);
    document.getElementById(`endpoint-${name}`)?.focus();
  };
  const drag = {
    start: (name) => (event) => {
      event.dataTransfer.effectAllowed = 'move';
      event.dataTransfer.setData('text/plain', name);
      setDragged(name);
    },
    end: (event) => {
      setDragged(null);
      if (event.dataTransfer.dropEffect === 'none') setOrder(null);
    },
  };
  return html`<ol class="cards" onDrop=${dropped}>${names.map((name, at) => html`<${Card} key=${name} endpoint=${byName.get(name)} first=${at === 0} last=${at === names.length - 1}
    picked=${picked === name} pick=${pick} shared=${sharing(byName.get(name))} dragged=${dragged === name} over=${over(name)} drag=${drag} shift=${shift} open=${open} />`)}</ol>`;
}

function moved(names, name, to) {
  const others = names.filter((one) => one !== name);
  return [...others.slice(0, to), name, ...others.slice(to)];
}

function Card({ endpoint, first, last, picked, pick, shared, dragged, over, drag, shift, open }) {
  const { name } = endpoint;
  const [test, setTest] = useState(null);
  const keyed = (event) => {
    if (!event.altKey || !['ArrowUp', 'ArrowDown'].includes(event.key)) return;
    event.preventDefault();
    shift(name, event.key === 'ArrowUp' ? -1 : 1);
  };
  const run = async () => {
    if (test?.busy) return;
    setTest({ busy: true });
    try {
      setTest({ view: await post(endpointPath(name, 'test')) });
    } catch (problem) {
      setTest({ problem });
    }
    loadEndpoints();
  };
  return html`<li id=${`endpoint-${name}`} class="card panel ${endpoint.state} ${picked ? 'picked' : ''} ${dragged ? 'dragged' : ''}" tabindex="-1" onKeyDown=${keyed} onFocusIn=${() => pick(name)} onDragOver=${over}>
    <div class="card-order">
      <button class="icon-only ghost small" disabled=${first} aria-label=${t('endpoint.move_up', { name })} onClick=${() => shift(name, -1)}>${icon('up')}</button>
      <span class="grip" draggable="true" title=${t('endpoint.drag')} onDragStart=${drag.start(name)} onDragEnd=${drag.end}>${icon('grip')}</span>
      <button class="icon-only ghost small" disabled=${last} aria-label=${t('endpoint.move_down', { name })} onClick=${() => shift(name, 1)}>${icon('down')}</button>
    </div>
    <div class="card-main">
      <${Heading} endpoint=${endpoint} shared=${shared} actions=${html`<${Actions} endpoint=${endpoint} run=${run} busy=${test?.busy} open=${open} />`} />
      <${Reason} endpoint=${endpoint} />
      <${Figures} endpoint=${endpoint} />
      ${test && html`<${TestResult} ...${test} onClose=${() => setTest(null)} />`}
    </div>
  </li>`;
}

function Heading({ endpoint, shared, actions }) {
  const { auth_type: type, auth_reference: reference, auth_value: value } = endpoint;
  return html`<div class="card-head"><h2>${endpoint.name}</h2><${State} state=${endpoint.state} />
      <span class="chip" title=${t('endpoint.priority_means')}>${t('endpoint.priority', { n: endpoint.priority })}${shared > 1 && endpoint.enabled ? ` · ${t('endpoint.shared')}` : ''}</span>${actions}</div>
    <div class="card-url"><span class="mono">${endpoint.url}${endpoint.path_prefix}</span>
      <span class="faint">${word('auth', type)}${value ? ` ${value}` : ''}${reference ? ` · ${reference}` : ''}${endpoint.http && endpoint.http !== '1.1' ? ` · HTTP ${endpoint.http}` : ''}${endpoint.proxy ? ` · ${t('endpoint.via', { proxy: endpoint.proxy })}` : ''}</span></div>`;
}

function Reason({ endpoint }) {
  const { state, reason, since, next_probe: probe, resting_until: until, failed_probes: probes, causes = [] } = endpoint;
  if (state === 'up' && !reason) return html`<p class="card-reason faint">${t('endpoint.since')} <${Since} time=${since} /></p>`;
  return html`<div class="card-reason">
    ${reason && html`<p>${reason}</p>`}
    <p class="faint">${t('endpoint.since')} <${Since} time=${since} /> ${probe && html`<span> · ${t('endpoint.next_probe')} <b class="num"><${Until} time=${probe} /></b></span>`}
      ${until && html`<span> · ${t('endpoint.rests')} <b class="num"><${Until} time=${until} /></b></span>`}
      ${probes > 0 && html`<span> · ${t('endpoint.probes_failed', { n: probes })}</span>`}</p>
    ${causes.length > 0 && html`<p class="causes"><span class="faint">${t('endpoint.causes')}</span> ${causes.slice(-6).map((id) => html`<a key=${id} class="mono chip" href=${href('requests', id)}>${id.length > 18 ? `${id.slice(0, 8)}…${id.slice(-6)}` : id}</a>`)}</p>`}
  </div>`;
}

const Figure = ({ label, value }) => html`<div><dt>${label}</dt><dd class="num">${value}</dd></div>`;

const both = ({ p50_ms: p50, p95_ms: p95 }) => (p50 === null || p50 === undefined ? NOTHING : `${duration(p50)} · ${duration(p95)}`);

function Figures({ endpoint }) {
  const { succeeded, failed } = endpoint;
  return html`<div class="card-figures"><dl>
      <${Figure} label=${t('col.success')} value=${percent(succeeded, succeeded + failed)} />
      <${Figure} label=${t('col.ok_failed')} value=${`${number(succeeded)} / ${number(failed)}`} />
      <${Figure} label=${t('col.window')} value=${html`${number(endpoint.window_ok)} / <span class=${endpoint.window_failed ? 'bad-text' : ''}>${number(endpoint.window_failed)}</span>`} />
      <${Figure} label=${t('col.first_byte')} value=${both(endpoint.first_byte)} />
      <${Figure} label=${t('col.duration')} value=${both(endpoint.duration)} />
      <${Figure} label=${t('col.tokens_s')} value=${number(endpoint.output_tokens_per_s)} />
      <${Figure} label=${t('col.in_flight')} value=${number(endpoint.in_flight)} />
    </dl><${Bars} recent=${endpoint.recent} label=${endpoint.name} /></div>`;
}

function Actions({ endpoint, run, busy, open }) {
  const { name, enabled, state } = endpoint;
  const editable = isEditable();
  const reset = async () => {
    try {
      await post(endpointPath(name, 'reset'));
      toast(t('endpoint.reset_toast', { name }), { kind: 'good' });
    } catch (problem) {
      complain(problem);
    }
    await loadEndpoints();
    focusIfLost(`endpoint-${name}`);
  };
  const label = (what) => ({ 'aria-label': `${what} ${name}` });
  return html`<div class="card-actions">
    <button class="small" aria-disabled=${busy} ...${label(t(busy ? 'act.testing' : 'act.test'))} onClick=${run}>${icon('bolt')}${t(busy ? 'act.testing' : 'act.test')}</button>
    <button class="small" ...${label(t(enabled ? 'act.disable' : 'act.enable'))} onClick=${() => toggle(endpoint)}>${icon('power')}${t(enabled ? 'act.disable' : 'act.enable')}</button>
    ${enabled && state !== 'up' && html`<button class="small" title=${t('endpoint.reset_means')} ...${label(t('act.reset'))} onClick=${reset}>${icon('reset')}${t('act.reset')}</button>`}
    <button class="small" disabled=${!editable} ...${label(t('act.edit'))} onClick=${() => open({ kind: 'edit', endpoint })}>${icon('edit')}${t('act.edit')}</button>
    <button class="small icon-only danger" disabled=${!editable} title=${t('act.delete')} ...${label(t('act.delete'))} onClick=${() => open({ kind: 'delete', endpoint })}>${icon('trash')}</button>
  </div>`;
}
