// One request: what happened, where the time went, what was said.
import { get } from '../api.js';
import { curlOf } from '../curl.js';
import { bytes, compact, duration, moment, number } from '../format.js';
import { t } from '../i18n.js';
import { answerOf, readJson } from '../message.js';
import { inputTokens, shortModel, story } from '../record.js';
import { choose, go, href, route } from '../route.js';
import { ended, status, useReturns } from '../store.js';
import { html, useEffect, useMemo, useState } from '../ui.js';
import { EventsList } from '../parts/events-list.js';
import { icon } from '../parts/icons.js';
import { JsonTree } from '../parts/json-tree.js';
import { useKeys } from '../parts/keys.js';
import { complain, toast } from '../parts/notes.js';
import { copy, Empty, Ending } from '../parts/state.js';
import { LongText } from '../parts/text.js';
import { Waterfall } from '../parts/waterfall.js';
import { Conversation } from './conversation.js';

const TABS = ['talk', 'request', 'answer', 'events', 'headers'];

export function Detail({ id }) {
  const [state, setState] = useState({ record: null, problem: null });
  const again = useReturns(state.problem);
  const from = route.value.query.get('from') ?? '';
  useEffect(() => {
    const stop = new AbortController();
    setState({ record: ended.peek().find((one) => one.id === id) ?? null, problem: null, part: true });
    get(`/api/logs/${encodeURIComponent(id)}`, { signal: stop.signal }).then((record) => setState({ record, problem: null }), (problem) => problem.name !== 'AbortError' && setState((old) => ({ ...old, problem })));
    return () => stop.abort();
  }, [id, again]);
  const back = () => go('requests', '', { q: from });
  const { record, problem, part } = state;
  const answer = useMemo(() => (record && !part ? answerOf(record) : null), [record, part]);
  const tabs = TABS.filter((one) => one !== 'events' || answer?.events);
  useKeys('detail.title', [
    { keys: 'Escape', label: 'keys.back', run: back },
    { keys: ']', label: 'keys.tab', run: () => turn(tabs, 1) },
    { keys: '[', label: 'keys.tab_before', run: () => turn(tabs, -1) },
    { keys: 'y', label: 'keys.copy_curl', run: () => record && !part && copyCurl(record) },
  ]);
  return html`<div class="view detail">
    <header class="view-head"><a class="button icon-only ghost" href=${href('requests', '', { q: from })} aria-label=${t('detail.back')}>${icon('left')}</a>
      <h1>${t('detail.title')} <span class="mono detail-id">${id}</span></h1>
      ${record && !part && html`<${Copies} record=${record} />`}</header>
    ${problem && html`<div class="notice bad" role="alert">${icon('alert')}<div><strong>${problem.message}</strong>${problem.hint && html`<small>${problem.hint}</small>`}</div></div>`}
    ${!record && !problem && html`<div class="panel skeleton detail-wait"></div>`}
    ${record && html`<${Summary} record=${record} />`}
    ${record && !part && html`<${Parts} key=${id} record=${record} answer=${answer} tabs=${tabs} />`}
  </div>`;
}

// The tab of the address, if this request has it.
function chosen(tabs) {
  const tab = route.value.query.get('tab');
  return tabs.includes(tab) ? tab : tabs[0];
}

// Answers the tab it goes to.
function turn(tabs, by) {
  const tab = tabs[(tabs.indexOf(chosen(tabs)) + by + tabs.length) % tabs.length];
  choose({ tab });
  return tab;
}

const copied = (text) => copy(text).then(() => toast(t('act.copied'), { kind: 'good' }), () => toast(t('act.copy_failed'), { kind: 'bad' }));

function copyCurl(record) {
  if (record.request.truncated) toast(t('detail.curl_truncated'), { kind: 'bad', detail: t('detail.keep_whole_request') });
  else copied(curlOf(record, status.peek()?.listen ?? '127.0.0.1:8080', status.peek()?.client_token));
}

function Copies({ record }) {
  return html`<div class="buttons"><button class="small" onClick=${() => copyCurl(record)}>${icon('terminal')}${t('detail.copy_curl')}</button>
    <button class="small" onClick=${() => copied(JSON.stringify(record, null, 2))}>${icon('braces')}${t('detail.copy_json')}</button>
    <button class="small" onClick=${() => copied(location.href)}>${icon('link')}${t('detail.copy_link')}</button></div>`;
}

const Fact = ({ label, children }) => html`<div><dt>${label}</dt><dd class="num">${children}</dd></div>`;

function Summary({ record }) {
  const { usage } = record;
  const streamed = (record.duration_ms - (record.first_byte_ms ?? record.duration_ms)) / 1000;
  return html`<section class="panel summary ${record.ending}"><p class="story"><${Ending} ending=${record.ending} status=${record.status} /> <span>${story(record)}</span></p>
    ${record.error && html`<div class="error-text"><${LongText} text=${record.error} first=${600} /></div>`}
    <${Waterfall} record=${record} />
    <dl class="facts inline">
      <${Fact} label=${t('col.time')}>${moment(record.time)}<//><${Fact} label=${t('col.model')}><span title=${record.model}>${shortModel(record.model) || '–'}</span><//>
      <${Fact} label=${t('col.first_byte')}>${duration(record.first_byte_ms)}<//><${Fact} label=${t('col.duration')}>${duration(record.duration_ms)}<//>
      ${usage && html`<${Fact} label=${t('tokens.in')}>${number(inputTokens(record))}<//><${Fact} label=${t('tokens.cache_read')}>${number(usage.cache_read)}<//><${Fact} label=${t('tokens.cache_creation')}>${number(usage.cache_creation)}<//>
        <${Fact} label=${t('tokens.output')}>${number(usage.output)}<//>${usage.output && streamed > 0.2 && html`<${Fact} label=${t('col.tokens_s')}>${compact(usage.output / streamed)}<//>`}`}
      <${Fact} label=${t('detail.sizes')}>${bytes(record.request.size)} → ${bytes(record.response.size)}<//>
      <${Fact} label=${t('detail.path')}><span class="mono">${record.method} ${record.path}</span><//>
      ${record.session && html`<${Fact} label=${t('detail.session')}><a class="mono" href=${href('requests', '', { q: `session:${/^[\w.-]+$/.test(record.session) ? record.session : JSON.stringify(record.session)}` })}>${record.session.length > 24 ? `${record.session.slice(0, 24)}…` : record.session}</a><//>`}
    </dl></section>`;
}

function Parts({ record, answer, tabs }) {
  const tab = chosen(tabs);
  const request = useMemo(() => (record.request.body && !record.request.encoding ? readJson(record.request.body, record.request.truncated) : {}), [record]);
  const bodies = { request, answer };
  const keyed = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by) document.getElementById(`tab-${turn(tabs, by)}`)?.focus();
  };
  return html`<section class="panel parts"><div class="tabs" role="tablist" onKeyDown=${keyed}>${tabs.map(
    (one) => html`<button key=${one} id=${`tab-${one}`} role="tab" aria-selected=${one === tab} aria-controls="tab-panel" tabindex=${one === tab ? 0 : -1} onClick=${() => choose({ tab: one })}>${t(`tab.${one}`)}</button>`,
  )}</div><div id="tab-panel" role="tabpanel" aria-labelledby=${`tab-${tab}`} tabindex="0">${html`<${PANELS[tab]} record=${record} ...${bodies} />`}</div></section>`;
}

const PANELS = {
  talk: Talk,
  request: ({ record, request }) => html`<${Kept} side=${record.request} which="request" /><${Body} side=${record.request} value=${request.value} />`,
  answer: ({ record, answer }) => html`<${Kept} side=${record.response} which="response" /><${Body} side=${record.response} value=${answer?.events ? undefined : readJson(record.response.body ?? '', record.response.truncated).value} />`,
  events: ({ record, answer }) => html`<${Kept} side=${record.response} which="response" />${answer?.events && html`<${EventsList} events=${answer.events} record=${record} />`}`,
  headers: ({ record }) => html`<div class="header-tables"><${Headers} title=${t('detail.request_headers')} headers=${record.request.headers} /><${Headers} title=${t('detail.response_headers')} headers=${record.response.headers} /></div>`,
};

// How much of a body the log has, and how to have more of it.
function Kept({ side, which }) {
  if (side.body === null || side.body === undefined) return side.size > 0 ? html`<p class="notice">${icon('alert')}<span>${t('detail.not_kept', { size: bytes(side.size) })} <code>logging.log_${which}_body: full</code></span></p>` : null;
  if (!side.truncated) return null;
  return html`<p class="notice">${icon('alert')}<span>${t('detail.truncated', { kept: bytes(new Blob([side.body]).size), size: bytes(side.size) })} <code>logging.log_${which}_body: full</code></span></p>`;
}

function Talk({ record, request, answer }) {
  const value = request.value;
  const nothing = !value && !answer;
  return html`<${Kept} side=${record.request} which="request" />${record.response.truncated && html`<${Kept} side=${record.response} which="response" />`}
    ${nothing ? html`<${Empty} title=${t('detail.no_talk')}>${t('detail.no_talk_hint')}<//>` : html`<${Conversation} request=${value && typeof value === 'object' ? value : {}} answer=${answer} />`}`;
}

function Body({ side, value }) {
  const [raw, setRaw] = useState(value === undefined);
  if (!side.body) return side.size === 0 ? html`<p class="faint">${t('detail.empty_body')}</p>` : null;
  return html`<div class="body-head">${side.encoding && html`<span class="chip">${side.encoding}</span>`}<span class="faint num">${bytes(side.size)}</span>
      ${value !== undefined && html`<button class="small" aria-pressed=${raw} onClick=${() => setRaw(!raw)}>${t('detail.raw')}</button>`}</div>
    ${raw || value === undefined ? html`<${LongText} text=${side.body} mono first=${20000} />` : html`<${JsonTree} value=${value} open=${2} />`}`;
}

function Headers({ title, headers }) {
  const rows = Object.entries(headers ?? {});
  return html`<div><h2 class="minor">${title}</h2>${rows.length
    ? html`<table class="headers"><thead class="sr-only"><tr><th scope="col">${t('col.name')}</th><th scope="col">${t('col.value')}</th></tr></thead><tbody>${rows.map(([name, value]) => html`<tr key=${name}><th scope="row" class="mono">${name}</th><td class="mono"><${LongText} text=${value} mono first=${600} /></td></tr>`)}</tbody></table>`
    : html`<p class="faint">${t('detail.no_headers')}</p>`}</div>`;
}
