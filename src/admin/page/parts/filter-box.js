// The one box that filters: the language of the command line. What is wrong is underlined where it is.
import { html, useEffect, useRef, useState } from '../ui.js';
import { t } from '../i18n.js';
import { FilterHelp } from './filter-help.js';
import { icon } from './icons.js';

const PAUSE_MS = 250;

// The terms as they were written; what stands in quotes is not split.
const terms = (text) => text.match(/(?:"(?:\\.|[^"\\])*"?|[^\s"])+/g) ?? [];

// `chips`: [text of a filter, label]; `problem`: what the proxy said of `value`.
export function FilterBox({ value, onChange, problem, chips, focus }) {
  const [text, setText] = useState(value);
  const [help, setHelp] = useState(false);
  const input = useRef(null);
  const timer = useRef(0);
  focus.current = () => input.current.select();
  useEffect(() => {
    if (document.activeElement !== input.current) setText(value);
  }, [value]);
  const change = (next, at = PAUSE_MS) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onChange(next.trim()), at);
  };
  const keyed = (event) => {
    if (event.key === 'Enter') change(text, 0);
    if (event.key !== 'Escape') return;
    if (text) change('', 0);
    else input.current.blur();
  };
  const parts = terms(text);
  const toggled = (chip) => (parts.includes(chip) ? parts.filter((part) => part !== chip) : [...parts, chip]).join(' ');
  const use = (example) => {
    setHelp(false);
    change(`${text} ${example}`.trim(), 0);
  };
  const wrong = problem && text.trim() === value ? problem : null;
  return html`<div class="filter" role="search">
    <div class="filter-box ${wrong ? 'wrong' : ''}">${icon('search')}
      <${Marked} text=${text} span=${wrong?.span} />
      <input ref=${input} type="search" class="mono" value=${text} placeholder=${t('filter.placeholder')} aria-label=${t('filter.label')} aria-invalid=${wrong ? 'true' : undefined}
        aria-describedby="filter-fault" spellcheck="false" autocomplete="off" autocapitalize="off" onInput=${(event) => change(event.target.value)} onKeyDown=${keyed} />
      ${text && html`<button class="icon-only ghost small" aria-label=${t('filter.clear')} onClick=${() => change('', 0)}>${icon('close')}</button>`}
      <button class="icon-only ghost small" aria-label=${t('filter.help')} title=${t('filter.help')} onClick=${() => setHelp(true)}>${icon('help')}</button><kbd class="wide-only">/</kbd></div>
    <p id="filter-fault" class="field-fault" role="status">${wrong && html`${wrong.message}${wrong.hint && html` <span>${wrong.hint}</span>`}`}</p>
    <div class="chips">${chips.map(([chip, label]) => html`<button key=${chip} class="chip" aria-pressed=${parts.includes(chip)} title=${chip} onClick=${() => change(toggled(chip), 0)}>${label}</button>`)}</div>
    ${help && html`<${FilterHelp} onClose=${() => setHelp(false)} use=${use} />`}
  </div>`;
}

// Lies under the input and has the same letters, of which only the underline is seen.
function Marked({ text, span }) {
  if (!span) return null;
  const chars = Array.from(text.trimStart());
  const lead = text.length - text.trimStart().length;
  const [from, to] = [span[0], Math.max(span[1], span[0] + 1)];
  const at = (begin, end) => chars.slice(begin, end).join('');
  return html`<span class="marked mono" aria-hidden="true">${' '.repeat(lead)}${at(0, from)}<mark>${at(from, to) || ' '}</mark>${at(to)}</span>`;
}
