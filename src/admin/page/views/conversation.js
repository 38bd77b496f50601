// The conversation as people read it: who said what, tool calls with their results, thinking folded away.
import { bytes, number } from '../format.js';
import { t, word } from '../i18n.js';
import { textOf } from '../message.js';
import { html, useMemo, useState } from '../ui.js';
import { JsonTree } from '../parts/json-tree.js';
import { Inline, LongText } from '../parts/text.js';

const LAST_SHOWN = 20;

export function Conversation({ request, answer }) {
  const { system, tools = [], messages = [] } = request;
  const [from, setFrom] = useState(Math.max(0, messages.length - LAST_SHOWN));
  const results = useMemo(() => resultsByCall(messages), [request]);
  const list = Array.isArray(messages) ? messages : [];
  return html`<div class="conversation">
    ${system && html`<${Fold} title=${t('talk.system')} size=${textOf(system).length}>${typeof system === 'string' ? html`<${LongText} text=${system} />` : html`<${Blocks} blocks=${system} results=${results} />`}<//>`}
    ${tools.length > 0 && html`<${Fold} title=${t('talk.tools', { n: tools.length })}>${tools.map((tool, at) => html`<${Tool} key=${at} tool=${tool} />`)}<//>`}
    ${from > 0 && html`<button class="small more" onClick=${() => setFrom(Math.max(0, from - 50))}>${t('talk.earlier', { n: from })}</button>`}
    ${list.slice(from).map((message, at) => html`<${Turn} key=${from + at} role=${message?.role} content=${message?.content} results=${results} place=${from + at + 1} />`)}
    ${answer && (answer.content.length > 0 || answer.error) && html`<${Answer} answer=${answer} />`}
  </div>`;
}

export function Answer({ answer }) {
  const stop = answer.message?.stop_reason;
  return html`<article class="turn assistant answer"><header><strong>${t('talk.answer')}</strong>${stop && html`<span class="chip">${stop}</span>`}</header>
    <${Blocks} blocks=${answer.content.filter(Boolean)} results=${new Map()} />
    ${answer.error && html`<div class="notice bad"><div><strong>${String(answer.error.type ?? t('talk.error'))}</strong> <${LongText} text=${String(answer.error.message ?? JSON.stringify(answer.error))} /></div></div>`}
  </article>`;
}

// Which result belongs to which call.
function resultsByCall(messages) {
  const blocks = (Array.isArray(messages) ? messages : []).flatMap((message) => (Array.isArray(message?.content) ? message.content : []));
  const calls = new Set(blocks.filter((block) => block?.type === 'tool_use').map((block) => block.id));
  const results = blocks.filter((block) => block?.type === 'tool_result' && calls.has(block.tool_use_id));
  return new Map(results.map((block) => [block.tool_use_id, block]));
}

export function Fold({ title, size, open: first = false, children, tone = '' }) {
  const [open, setOpen] = useState(first);
  return html`<details class="fold ${tone}" open=${open} onToggle=${(event) => setOpen(event.target.open)}>
    <summary>${title}${size !== undefined && html` <span class="faint num">${bytes(size)}</span>`}</summary>${open && html`<div class="fold-body">${children}</div>`}</details>`;
}

function Tool({ tool }) {
  return html`<${Fold} title=${html`<span class="mono">${tool?.name ?? '?'}</span> <span class="faint"><${Inline} text=${tool?.description} length=${90} /></span>`}>
    <${LongText} text=${String(tool?.description ?? '')} first=${1000} /><${JsonTree} value=${tool?.input_schema ?? tool} open=${1} /><//>`;
}

function Turn({ role, content, results, place }) {
  const blocks = typeof content === 'string' ? [{ type: 'text', text: content }] : Array.isArray(content) ? content : [];
  const own = blocks.filter((block) => !(block?.type === 'tool_result' && results.has(block.tool_use_id)));
  if (!own.length && blocks.length) return null;
  return html`<article class="turn ${role}"><header><strong>${word('role', role)}</strong><span class="faint num">${number(place)}</span></header><${Blocks} blocks=${own} results=${results} /></article>`;
}

const Blocks = ({ blocks, results }) => blocks.map((block, at) => html`<${Block} key=${at} block=${block} results=${results} />`);

function Block({ block, results }) {
  if (typeof block?.text === 'string') return html`<${LongText} text=${block.text} />`;
  switch (block?.type) {
    case 'thinking':
      return html`<${Fold} tone="thinking" title=${t('talk.thinking')} size=${(block.thinking ?? '').length}><${LongText} text=${String(block.thinking ?? '')} /><//>`;
    case 'tool_use':
    case 'server_tool_use':
      return html`<${Call} block=${block} result=${results.get(block.id)} />`;
    case 'tool_result':
      return html`<${Result} block=${block} />`;
    case 'image':
    case 'document':
      return html`<p class="chip">${word('block', block.type)} · ${block.source?.media_type ?? block.source?.type ?? '?'} · ${bytes((block.source?.data ?? '').length * 0.75)}</p>`;
    default:
      return html`<${JsonTree} value=${block} open=${1} />`;
  }
}

function Call({ block, result }) {
  return html`<div class="call"><div class="call-head"><span class="chip tool mono">${block.name}</span><span class="faint mono"><${Inline} text=${firstValue(block.input)} length=${110} /></span></div>
    <${Fold} title=${t('talk.input')}><${JsonTree} value=${block.input ?? block.partial ?? null} open=${2} /><//>
    ${result && html`<${Result} block=${result} />`}</div>`;
}

// The part of an input that tells most, mostly: a path, a command, a query.
function firstValue(input) {
  const value = input && typeof input === 'object' ? Object.values(input).find((one) => typeof one === 'string') : input;
  return typeof value === 'string' ? value : '';
}

function Result({ block }) {
  const text = textOf(block.content);
  const title = html`${t(block.is_error ? 'talk.result_error' : 'talk.result')} <span class="faint mono"><${Inline} text=${text} length=${80} /></span>`;
  return html`<${Fold} tone=${block.is_error ? 'bad' : ''} title=${title} size=${text.length}><${LongText} text=${text} mono first=${2500} /><//>`;
}
